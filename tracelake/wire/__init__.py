"""Provider wire formats: bytes in, calls out, no I/O.

What is exported here is the whole interface; everything else is private to it.
"""

from tracelake.wire.call import Api, Atom, Request, Response, Usage
from tracelake.wire.conversation import Turn, conversation, response_turn
from tracelake.wire.fingerprint import fingerprint, tools_fingerprint
from tracelake.wire.part import Part
from tracelake.wire.request import read_request, rebuild_body
from tracelake.wire.response import read_response
from tracelake.wire.websocket import Tunnel, calls_within

__all__ = [
    "Api",
    "Atom",
    "Part",
    "Request",
    "Response",
    "Tunnel",
    "Turn",
    "Usage",
    "calls_within",
    "conversation",
    "fingerprint",
    "read_request",
    "read_response",
    "rebuild_body",
    "response_turn",
    "tools_fingerprint",
]
