"""The seam for replay and breakpoints: calls of chosen runs are handed to a local control proxy.

Which runs are handed over is told to the running relay (`POST /control/runs/<run-id>`), by a
process of this machine that knows the secret given at start. Other runs pay nothing for it.

A handed-over call reaches the control proxy as the client sent it (path without our own prefixes),
with headers added: `x-tracelake-upstream` (name of the real upstream), `x-tracelake-upstream-url`
(where the relay would have sent it), `x-tracelake-span` and `x-tracelake-run`. Response headers
that begin with `x-tracelake-` are recorded and not passed on to the client.
"""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING

import orjson

from tracelake.errors import ConfigError
from tracelake.model import is_valid_id
from tracelake.relay.heads import OWN_PREFIX
from tracelake.relay.routing import parse_backend
from tracelake.relay.upstream import Pool

if TYPE_CHECKING:
    from tracelake.relay.capture import Capture
    from tracelake.relay.routing import Route

_RUNS = "/control/runs/"
_HEAD_END = b"\r\n\r\n"


class ControlTable:
    """Which runs are handed over, and to whom."""

    def __init__(self) -> None:
        self._pools: dict[str, Pool] = {}

    def __len__(self) -> int:
        return len(self._pools)

    def pools(self) -> list[Pool]:
        """The connections to all control proxies."""
        return list(self._pools.values())

    def pool(self, run_id: str | None) -> Pool | None:
        """The connections to the control proxy of a run, None for a run that is left alone."""
        return self._pools.get(run_id) if run_id is not None else None

    def hand_over(self, run_id: str, address: str) -> None:
        """Send the calls of a run to a control proxy from now on.

        Raises:
            ConfigError: The run id or the address is not usable.
        """
        if not is_valid_id(run_id):
            raise ConfigError("the run id must be letters, digits and ._:- (at most 200)")
        backend = parse_backend("control", address)
        if backend.scheme != "http" or backend.base_path or not _is_loopback(backend.host):
            raise ConfigError("the control address must look like http://127.0.0.1:port")
        self.leave(run_id)
        self._pools[run_id] = Pool(backend, None)

    def leave(self, run_id: str) -> bool:
        """Leave a run alone again; False when it was."""
        pool = self._pools.pop(run_id, None)
        if pool is not None:
            pool.close_idle()
        return pool is not None

    def answer(self, method: str, path: str, body: bytes) -> tuple[int, dict[str, object]]:
        """Serve `/control/…`: status and JSON body."""
        run_id = path.removeprefix(_RUNS)
        if path.rstrip("/") == _RUNS.rstrip("/") and method == "GET":
            return 200, {run: pool.backend.url for run, pool in self._pools.items()}
        if not path.startswith(_RUNS) or not run_id:
            return 404, {"error": f"no such path: {path}"}
        if method == "DELETE":
            return 200, {"removed": self.leave(run_id)}
        if method != "POST":
            return 405, {"error": "use POST or DELETE"}
        try:
            address = orjson.loads(body)["address"]
            self.hand_over(run_id, str(address))
        except ConfigError as error:
            return 400, {"error": str(error)}
        except (ValueError, KeyError, TypeError):
            return 400, {"error": 'the body must be {"address": "http://127.0.0.1:port"}'}
        return 200, {"run_id": run_id, "address": address}


def control_headers(route: Route, capture: Capture) -> bytes:
    """The header lines that a handed-over call carries in addition."""
    backend = route.backend
    url = f"{backend.scheme}://{backend.host_header}{route.target}"
    return (
        f"x-tracelake-upstream: {backend.name}\r\nx-tracelake-upstream-url: {url}\r\n"
        f"x-tracelake-span: {capture.span_id}\r\nx-tracelake-run: {route.run_id}\r\n"
    ).encode("latin-1")


class HeadFilter:
    """Takes our own headers out of the heads of a response; everything else passes as it came."""

    def __init__(self) -> None:
        self._head: bytes | None = b""

    def feed(self, data: bytes) -> bytes:
        """What of the response may go to the client, given its next piece."""
        if self._head is None:
            return data
        self._head += data
        passed = b""
        while self._head is not None and _HEAD_END in self._head:
            head, _, rest = self._head.partition(_HEAD_END)
            passed += _without_own(head) + _HEAD_END
            is_interim = head[9:10] == b"1" and head[9:12] != b"101"
            self._head = rest if is_interim else None
            if self._head is None:
                passed += rest
        return passed


def _without_own(head: bytes) -> bytes:
    lines = head.split(b"\r\n")
    return b"\r\n".join(line for line in lines if not line.lower().startswith(OWN_PREFIX))


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
