"""Who may use the custom routes: the one place where Host, Origin and tokens are checked.

Streamlit protects only its own routes, so every route of ours asks here first.

Invariants:
- Without `TRACELAKE_TOKEN` only this machine is served, and only under a loopback name, so that a
  foreign page can reach nothing, not even by rebinding its own name to 127.0.0.1.
- A request from a page (it carries `Origin`) needs the token of a session; a script on this machine
  sends no `Origin` and needs none.
- With `TRACELAKE_TOKEN` set every request needs that token or a session's, from anywhere: behind
  a reverse proxy all clients look local.
"""

from __future__ import annotations

import functools
import hashlib
import hmac
import ipaddress
import os
import secrets
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from starlette.responses import JSONResponse

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from starlette.requests import HTTPConnection, Request
    from starlette.responses import Response

TOKEN_ENV = "TRACELAKE_TOKEN"  # noqa: S105 - the name of a variable, not a secret
TOKEN_HEADER = "x-tracelake-token"  # noqa: S105
TOKEN_TTL_S = 24 * 3600
_LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})
#: Signs session tokens; lives as long as the process, so a restart ends every session's token.
_SIGNING_KEY = secrets.token_bytes(32)


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a request is not served: the HTTP status to answer with and one line for the caller."""

    status: int
    reason: str


def access_token() -> str | None:
    """The token that opens this app to other machines (`TRACELAKE_TOKEN`), None when unset."""
    return os.environ.get(TOKEN_ENV) or None


def issue_token(*, now: float | None = None, ttl_s: float = TOKEN_TTL_S) -> str:
    """A signed token for the page of one session, good for `ttl_s` seconds in this process.

    Args:
        now: Seconds since the epoch; the current time by default.
        ttl_s: How long it is good, seconds.
    """
    expires = int((time.time() if now is None else now) + ttl_s)
    body = f"{expires}.{secrets.token_urlsafe(12)}"
    return f"{body}.{_sign(body)}"


def verify_token(token: str | None, *, now: float | None = None) -> bool:
    """Whether a token was issued by this process and is still good, or is the access token."""
    if not token:
        return False
    shared = access_token()
    if shared is not None and hmac.compare_digest(token.encode(), shared.encode()):
        return True
    body, _, signature = token.rpartition(".")
    if not body or not hmac.compare_digest(signature.encode(), _sign(body).encode()):
        return False
    return int(body.split(".", 1)[0]) > (time.time() if now is None else now)


def check_request(
    headers: Mapping[str, str], client_host: str | None, *, token: str | None = None
) -> Refusal | None:
    """Decide whether a request to a custom route may be served.

    Args:
        headers: Request headers, names in lower case (Starlette's `Headers` serves as it is).
        client_host: Address of the peer; None for a local transport without one.
        token: Token given beside the headers, such as the query parameter of a WebSocket.

    Returns:
        None to serve it, else the refusal to answer with.
    """
    host = headers.get("host", "")
    origin = headers.get("origin")
    shared = access_token()
    if shared is None and not is_loopback(client_host):
        return Refusal(403, f"only this machine is served: set {TOKEN_ENV} to open it to others")
    if shared is None and host_name(host) not in _LOOPBACK_NAMES:
        return Refusal(403, f"unknown host {host!r}: use localhost")
    if origin is not None and urlsplit(origin).netloc.lower() != host.lower():
        return Refusal(403, f"origin {origin!r} is not this app")
    if headers.get("sec-fetch-site") in {"cross-site", "same-site"}:
        return Refusal(403, "requests from other sites are not served")
    if shared is None and origin is None:
        return None
    if verify_token(token or _header_token(headers)):
        return None
    return Refusal(401, f"a token is needed: send it as {TOKEN_HEADER} or Authorization: Bearer")


def check_connection(connection: HTTPConnection) -> Refusal | None:
    """`check_request` for a Starlette request or WebSocket, its token also taken from `?token=`."""
    client = connection.client
    return check_request(
        connection.headers,
        client.host if client else None,
        token=connection.query_params.get("token"),
    )


def guarded(
    endpoint: Callable[[Request], Awaitable[Response]],
) -> Callable[[Request], Awaitable[Response]]:
    """An HTTP endpoint that answers only requests that pass the guard."""

    @functools.wraps(endpoint)
    async def checked(request: Request) -> Response:
        refusal = check_connection(request)
        if refusal is not None:
            return JSONResponse({"error": refusal.reason}, status_code=refusal.status)
        return await endpoint(request)

    return checked


def is_loopback(address: str | None) -> bool:
    """Whether an address names this machine's loopback; True for a transport without address."""
    if address is None or address in _LOOPBACK_NAMES:
        return True
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False


def host_name(host: str) -> str:
    """The name in a Host header, without port and brackets, in lower case."""
    return (urlsplit(f"//{host}").hostname or "").lower()


def _header_token(headers: Mapping[str, str]) -> str | None:
    scheme, _, bearer = headers.get("authorization", "").partition(" ")
    return headers.get(TOKEN_HEADER) or (bearer.strip() if scheme.lower() == "bearer" else None)


def _sign(body: str) -> str:
    return hmac.new(_SIGNING_KEY, body.encode(), hashlib.sha256).hexdigest()
