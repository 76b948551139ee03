"""Errors of the relay itself, in the shape the client's SDK expects of its provider.

Both SDKs raise these as status errors whose message is readable; `x-tracelake-error` tells them
from the provider's own.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import orjson

if TYPE_CHECKING:
    from tracelake.relay.routing import Dialect

_ANTHROPIC_TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    504: "timeout_error",
}


def error_body(dialect: Dialect, *, status: int, code: str, message: str) -> bytes:
    """The JSON body of an error in a provider's own shape."""
    text = f"trace lake relay: {message}"
    body: dict[str, Any]
    if dialect == "anthropic":
        kind = _ANTHROPIC_TYPES.get(status, "api_error")
        body = {"type": "error", "error": {"type": kind, "message": text}}
    elif dialect == "ollama":
        body = {"error": text}
    else:
        kind = "invalid_request_error" if status < 500 else "server_error"
        body = {"error": {"message": text, "type": kind, "param": None, "code": code}}
    return orjson.dumps(body)


def render_error(
    dialect: Dialect, *, status: int, code: str, message: str, close: bool = False
) -> bytes:
    """A whole HTTP response that tells of an error."""
    body = error_body(dialect, status=status, code=code, message=message)
    return render_response(status, body, close=close, extra=f"x-tracelake-error: {code}\r\n")


def render_response(status: int, body: bytes, *, close: bool = False, extra: str = "") -> bytes:
    """A whole HTTP response with a JSON body."""
    head = (
        f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\n"
        f"content-type: application/json\r\n{extra}content-length: {len(body)}\r\n"
        f"{'connection: close' if close else 'connection: keep-alive'}\r\n\r\n"
    )
    return head.encode("latin-1") + body
