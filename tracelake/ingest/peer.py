"""Which local program made a loopback connection.

Linux keeps the answer under `/proc`: the socket's inode in `net/tcp*`, its holder among the
`fd` links of the processes. Elsewhere nothing is known and callers carry on without.
Costs 2-3 ms for a program seen for the first time, microseconds for one seen before.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_PROC = Path("/proc")
_COMMAND_MAX_ARGS = 12
_COMMAND_MAX_CHARS = 500
#: Shells and launchers (`sh -c`, `uv run`, `make`) stand between a program and who started it.
_ANCESTORS_MAX = 8


@dataclass(frozen=True, slots=True)
class Program:
    """A running process.

    Attributes:
        pid: Process id.
        ppid: Its parent.
        ancestors: Its parent, that one's parent and so on, without the system's first process.
        started: Clock ticks since boot; with `pid` it names the process for good.
        command: argv, shortened.
        cwd: Working directory, or None where it may not be read.
    """

    pid: int
    ppid: int
    started: int
    command: tuple[str, ...]
    cwd: str | None
    ancestors: tuple[int, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """As JSON-able values, the way they stand in `exchanges.client`."""
        return {
            "pid": self.pid,
            "ppid": self.ppid,
            "ancestors": list(self.ancestors),
            "started": self.started,
            "command": list(self.command),
            "cwd": self.cwd,
        }


def read_program(pid: int) -> Program | None:
    """The process of that id, or None when it is gone or not ours to see."""
    folder = _PROC / str(pid)
    try:
        fields = _stat(pid)
        command = (folder / "cmdline").read_bytes().decode(errors="replace").split("\0")
    except (OSError, IndexError):
        return None
    try:
        cwd = os.readlink(folder / "cwd")
    except OSError:
        cwd = None
    shown = tuple(part[:_COMMAND_MAX_CHARS] for part in command if part)[:_COMMAND_MAX_ARGS]
    parent = int(fields[1])
    return Program(pid, parent, int(fields[19]), shown, cwd, tuple(_upwards(parent)))


def is_alive(pid: int, started: int) -> bool:
    """Whether that very process still runs (a reused id does not count, a zombie neither)."""
    try:
        fields = _stat(pid)
    except (OSError, IndexError):
        return False
    return int(fields[19]) == started and fields[0] != "Z"


def _stat(pid: int) -> list[str]:
    # the second field, the program's name, may itself hold spaces and parentheses
    return (_PROC / str(pid) / "stat").read_text().rsplit(")", 1)[1].split()


def _upwards(pid: int) -> Iterator[int]:
    for _ in range(_ANCESTORS_MAX):
        if pid <= 1:
            return
        yield pid
        try:
            pid = int(_stat(pid)[1])
        except (OSError, IndexError):
            return


def _socket_inode(port: int, relay_port: int) -> str | None:
    local, remote = f":{port:04X}", f":{relay_port:04X}"
    for table in ("net/tcp", "net/tcp6"):
        try:
            lines = (_PROC / table).read_text().splitlines()[1:]
        except OSError:
            continue
        for line in lines:
            fields = line.split()
            if fields[1].endswith(local) and fields[2].endswith(remote):
                return fields[9]
    return None


def _holds(pid: int, target: str) -> bool:
    try:
        with os.scandir(_PROC / str(pid) / "fd") as entries:
            return any(_link(entry.path) == target for entry in entries)
    except OSError:
        return False


def _link(path: str) -> str:
    try:
        return os.readlink(path)
    except OSError:
        return ""


class PeerResolver:
    """Finds the program behind a client port of the relay, trying known programs first."""

    def __init__(self, relay_port: int) -> None:
        self._relay_port = relay_port
        self._recent: dict[int, None] = {}

    @property
    def is_supported(self) -> bool:
        """Whether this system can tell (Linux)."""
        return (_PROC / "net/tcp").exists()

    def resolve(self, port: int) -> Program | None:
        """The program whose socket has that local port, or None when it cannot be told."""
        inode = _socket_inode(port, self._relay_port) if self.is_supported else None
        if inode is None or inode == "0":
            return None
        target = f"socket:[{inode}]"
        for pid in self._candidates():
            if _holds(pid, target):
                self._recent.pop(pid, None)
                self._recent[pid] = None
                return read_program(pid)
        return None

    def _candidates(self) -> Iterable[int]:
        known = list(reversed(self._recent))
        yield from known
        running = {int(name) for name in os.listdir(_PROC) if name.isdigit()}
        for gone in self._recent.keys() - running:
            del self._recent[gone]
        yield from sorted(running.difference(known), reverse=True)
