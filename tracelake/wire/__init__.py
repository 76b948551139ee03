"""Provider wire formats: bytes in, calls out, no I/O.

`read_request` and `read_response` are the whole interface; everything else is private to it.
"""
