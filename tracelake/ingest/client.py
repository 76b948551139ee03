"""Client programs of the relay: who made a connection, and whether it still runs."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from tracelake.ingest.peer import PeerResolver, Program, is_alive

if TYPE_CHECKING:
    from collections.abc import Mapping

#: A port is taken over by another program sooner than this only when thousands of connections open.
PORT_MEMORY_S = 5.0


class ClientWatch:
    """Names the program behind each exchange and tells when one has ended.

    Args:
        relay_port: Port of the relay, on this machine.
    """

    def __init__(self, relay_port: int) -> None:
        self._resolver = PeerResolver(relay_port)
        self._ports: dict[int, tuple[float, Program]] = {}
        self._running: dict[tuple[int, int], dict[str, Any]] = {}
        self._gone: set[tuple[int, int]] = set()

    def identify(self, client: Mapping[str, Any]) -> dict[str, Any]:
        """What is known of a client program: the keys of `Program.to_dict`, or nothing.

        Args:
            client: As the relay wrote it; its `port` is looked up while the connection is open.
        """
        port = client.get("port")
        if not isinstance(port, int):
            return {}
        program = self._program_at(port, time.monotonic())
        if program is None:
            return {}
        client = program.to_dict()
        self._running[program.pid, program.started] = client
        return client

    def watch(self, client: dict[str, Any]) -> None:
        """Watch a program that an earlier process identified."""
        pid, started = client.get("pid"), client.get("started")
        if isinstance(pid, int) and isinstance(started, int):
            self._running[pid, started] = client

    def ended(self) -> list[dict[str, Any]]:
        """The programs, as `identify` named them, that were gone at this and at the last call.

        A program's last calls may still be on their way when it is first seen gone: whoever reads
        between two calls of this function has them.
        """
        if not self._resolver.is_supported:
            return []
        gone = {key for key in self._running if not is_alive(*key)}
        ended = [self._running.pop(key) for key in gone & self._gone]
        self._gone = gone - self._gone
        return ended

    def _program_at(self, port: int, now: float) -> Program | None:
        known = self._ports.get(port)
        if known and now - known[0] >= PORT_MEMORY_S:
            known = None
        # a port whose program is gone may be another's within seconds
        if known and is_alive(known[1].pid, known[1].started):
            return known[1]
        if len(self._ports) > 4096:
            self._ports = {p: k for p, k in self._ports.items() if now - k[0] < PORT_MEMORY_S}
        program = self._resolver.resolve(port)
        if program is None:
            return known[1] if known else None
        self._ports[port] = (now, program)
        return program
