"""Clients that leave while nothing is read from them.

A client that is held back (its upload waits for the upstream) is not read. If it leaves, the end of
its stream stands behind everything it sent before, so that the upstream would be kept busy for
nobody. Linux tells of it in two ways: a poll set of its own (`EPOLLRDHUP`) where the end arrived,
and the table of connections for a client on this machine whose last bytes found no room.

Elsewhere such a client is noticed as soon as it is read again.
"""

from __future__ import annotations

import logging
import select
from pathlib import Path
from typing import TYPE_CHECKING

from tracelake.relay.access import is_loopback

if TYPE_CHECKING:
    import asyncio

    from tracelake.relay.client import ClientConnection

_log = logging.getLogger(__name__)

_TABLES = (Path("/proc/net/tcp"), Path("/proc/net/tcp6"))
#: How often the table of connections is looked at while anybody is held back.
_LOOK_S = 0.25
#: `TCP_ESTABLISHED` and `TCP_CLOSE_WAIT`: the socket belongs to a program that still sends.
_SENDING = frozenset({"01", "08"})


class Departures:
    """The connections that are held back, and the news that their clients have left."""

    def __init__(self) -> None:
        self._held: dict[ClientConnection, int] = {}
        self._poll: select.epoll | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._timer: asyncio.TimerHandle | None = None

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Listen for departures on this event loop."""
        if not hasattr(select, "epoll"):
            _log.info("a client that leaves while it is held back is noticed late on this system")
            return
        self._poll, self._loop = select.epoll(), loop
        loop.add_reader(self._poll.fileno(), self._tell)

    def stop(self) -> None:
        """Listen no more."""
        if self._poll is not None and self._loop is not None:
            self._loop.remove_reader(self._poll.fileno())
            self._poll.close()
            self._poll = None
        if self._timer is not None:
            self._timer.cancel()
        self._held.clear()

    def watch(self, client: ClientConnection) -> None:
        """Cut the connection once its client has left; it is not being read."""
        sock = client.transport.get_extra_info("socket")
        number = -1 if sock is None else sock.fileno()
        if self._poll is None or self._loop is None or number < 0 or client in self._held:
            return
        self._held[client] = number
        self._poll.register(number, select.EPOLLRDHUP)
        if self._timer is None and is_loopback(client.peer[0]):
            self._timer = self._loop.call_later(_LOOK_S, self._look)

    def forget(self, client: ClientConnection) -> None:
        """The connection is read again, or gone."""
        number = self._held.pop(client, None)
        if self._poll is None or number is None:
            return
        try:
            self._poll.unregister(number)
        except OSError:  # the socket was closed before, which took it out of the set
            _log.debug("descriptor %d was closed already", number)

    def _tell(self) -> None:
        if self._poll is None:
            return
        gone = {number for number, _ in self._poll.poll(0)}
        self._cut([client for client, number in self._held.items() if number in gone])

    def _look(self) -> None:
        self._timer = None
        local = [client for client in self._held if is_loopback(client.peer[0])]
        if not local or self._loop is None:
            return
        pairs = sending_ports([table.read_text() for table in _TABLES if table.exists()])
        self._cut(
            [
                client
                for client in local
                if (client.peer[1], client.transport.get_extra_info("sockname")[1]) not in pairs
            ]
        )
        self._timer = self._loop.call_later(_LOOK_S, self._look)

    def _cut(self, clients: list[ClientConnection]) -> None:
        for client in clients:
            self.forget(client)
            client.transport.abort()


def sending_ports(tables: list[str]) -> set[tuple[int, int]]:
    """Local and remote port of every connection whose program may still send.

    Args:
        tables: Contents of `/proc/net/tcp` and `/proc/net/tcp6`; proc(5) tells their columns.
    """
    pairs: set[tuple[int, int]] = set()
    for table in tables:
        for line in table.splitlines()[1:]:
            columns = line.split(maxsplit=4)
            if len(columns) > 3 and columns[3] in _SENDING:
                local, remote = (column.rpartition(":")[2] for column in columns[1:3])
                pairs.add((int(local, 16), int(remote, 16)))
    return pairs
