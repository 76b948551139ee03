"""The control proxy: calls of chosen runs are parsed, answered, changed or held in line.

It knows HTTP and nothing of recordings: a `Handler` decides what becomes of a call.
"""

from tracelake.control.call import Answer, Call, Forward, Handler, Reply
from tracelake.control.server import ControlServer

__all__ = ["Answer", "Call", "ControlServer", "Forward", "Handler", "Reply"]
