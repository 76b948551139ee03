"""What the offline provider says and how: no I/O, no clock, the same request gives the same answer.

`conversation` reads a request of any of the three formats into one form, `scenario` plays the
agents of the demo program, `generic` answers everything else, `style` follows instructions on
form, and `messages`, `chat` and `responses` write an answer in its provider's format.
"""
