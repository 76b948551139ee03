"""Who may use the relay: pure decisions about one request.

Invariants:
- Nobody beyond this machine is served without the token.
- A web page of another site is never served, even if its name was rebound to this machine.
- The relay's own paths are served to loopback names only; control needs its own secret besides.
"""

from __future__ import annotations

import hmac
import ipaddress
from dataclasses import dataclass
from urllib.parse import urlsplit

from tracelake.errors import ConfigError
from tracelake.relay.routing import Refusal

_LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})


@dataclass(frozen=True, slots=True)
class Access:
    """The secrets that open the relay.

    Attributes:
        token: Demanded of other machines; without it they are not served.
        control_secret: Demanded on `/control/…`; without it there is no such path.
    """

    token: str | None = None
    control_secret: str | None = None

    def refuse(self, peer: str, *, origin: str | None, token: str | None) -> Refusal | None:
        """Why a request is not served, or None to serve it.

        Args:
            peer: Address of the client.
            origin: Its `Origin` header.
            token: The token it carries, in header or path.
        """
        is_known = self.token is not None and token is not None and _same(self.token, token)
        if is_known:
            return None
        if not is_loopback(peer):
            return Refusal(
                401,
                "token_needed",
                "requests from other machines need the token: "
                "send it as X-Tracelake-Token or put /t/<token> before the path",
            )
        if origin is not None and not is_loopback(_host(origin)):
            return Refusal(403, "foreign_origin", f"pages of {origin[:200]} are not served")
        return None

    def refuse_control(self, peer: str, *, host: str | None, secret: str | None) -> Refusal | None:
        """Why a request to `/control/…` is not served, or None to serve it."""
        if self.control_secret is None:
            return Refusal(404, "no_control", "this relay was started without control")
        if not is_loopback(peer) or not is_loopback(_host(f"//{host or ''}")):
            return Refusal(403, "loopback_only", "control is served to this machine only")
        if secret is None or not _same(self.control_secret, secret):
            return Refusal(401, "control_secret", "X-Tracelake-Control must carry the secret")
        return None


def check_binding(host: str, token: str | None) -> None:
    """Make sure that the relay may listen on this address.

    Raises:
        ConfigError: It is reachable from other machines and no token is set.
    """
    if not is_loopback(host) and not token:
        raise ConfigError(
            f"listening on {host} opens the relay to other machines: set TRACELAKE_TOKEN"
        )


def is_loopback(host: str) -> bool:
    """Whether an address or name can only mean this machine."""
    if host in _LOOPBACK_NAMES or host.endswith(".localhost"):
        return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return address.is_loopback or (mapped is not None and mapped.is_loopback)


def _host(url: str) -> str:
    try:
        return (urlsplit(url).hostname or "").lower()
    except ValueError:
        return ""


def _same(expected: str, given: str) -> bool:
    return hmac.compare_digest(expected.encode(), given.encode())
