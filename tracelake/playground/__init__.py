"""Testing an edited prompt: what to send, sending it, recording it, and what changed.

`draft` holds what the user edits, `trial` sends it in the background, `record` turns it into a
small trace of its own, `compare` says what changed. Nothing here draws.
"""
