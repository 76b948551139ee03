"""Clients that leave while nothing is read from them.

A client that is held back (its upload waits for the upstream) is not read, so that its leaving
would stay unnoticed until all it sent before had been read. The kernel knows at once: a poll set
of its own (`EPOLLRDHUP`) tells of it. Needs Linux; elsewhere such a client is noticed as soon as
it is read again.
"""

from __future__ import annotations

import logging
import select
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import asyncio

    from tracelake.relay.client import ClientConnection

_log = logging.getLogger(__name__)


class Departures:
    """The connections that are held back, and the news that their clients have left."""

    def __init__(self) -> None:
        self._held: dict[int, ClientConnection] = {}
        self._poll: select.epoll | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

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
        self._held.clear()

    def watch(self, client: ClientConnection) -> None:
        """Cut the connection once its client has left; it is not being read."""
        number = _number(client)
        if self._poll is not None and number is not None and number not in self._held:
            self._held[number] = client
            self._poll.register(number, select.EPOLLRDHUP)

    def forget(self, client: ClientConnection) -> None:
        """The connection is read again, or gone."""
        number = next((n for n, held in self._held.items() if held is client), None)
        if self._poll is None or number is None:
            return
        del self._held[number]
        try:
            self._poll.unregister(number)
        except OSError:  # the socket was closed before, which took it out of the set
            _log.debug("descriptor %d was closed already", number)

    def _tell(self) -> None:
        if self._poll is None:
            return
        for number, _ in self._poll.poll(0):
            client = self._held.get(number)
            if client is not None:
                self.forget(client)
                client.transport.abort()


def _number(client: ClientConnection) -> int | None:
    sock = client.transport.get_extra_info("socket")
    number = -1 if sock is None else sock.fileno()
    return number if number >= 0 else None
