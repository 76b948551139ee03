"""Processes that meet on one lake, taken apart into steps and run in any order one likes.

    Actor(work).advance() -> the step it stands before, None when it is over
    changes(root)         a writing actor stands before each step that changed what is on the disk
    looks(monkeypatch)    a reading actor stands before each look at the disk
    Actor.kill()          it never runs on, its clean-up neither, as after `kill -9`

Every step is the program's own: an audit hook sees each file that Python opens, renames or deletes,
and what the libraries do in between (a commit, a file) is seen by what it left in the folder.
Nothing is replaced. Only one actor runs at a time, the others stand.
"""

from __future__ import annotations

import os
import sys
import threading
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tracelake.storage import cold, hot, reader
from tracelake.storage.table import DeltaStore

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest

_here = threading.local()
_SEEN = frozenset({"open", "os.rename", "os.remove", "os.mkdir"})
_TIMEOUT_S = 60


class Killed(BaseException):
    """What a killed actor raises at its next step, and at each of its clean-up."""


class Actor:
    """One process, as a thread that runs only while `advance` waits for it.

    Attributes:
        result: What the work returned; raises what it raised.
    """

    def __init__(self, work: Callable[[], Any], root: Path, *, by_change: bool) -> None:
        self._work = work
        self._root = str(root)
        self.by_change = by_change
        self._state = _state(root) if by_change else None
        self._turn = threading.Semaphore(0)
        self._stands = threading.Semaphore(0)
        self._step: str | None = None
        self._dead = False
        self._error: BaseException | None = None
        self._answer: Any = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def advance(self) -> str | None:
        """Run to the next step."""
        self._turn.release()
        if not self._stands.acquire(timeout=_TIMEOUT_S):
            raise TimeoutError(f"an actor hangs after {self._step}")
        return self._step

    def finish(self) -> Any:
        """Run to the end, and what came of it."""
        while self._thread.is_alive() and self.advance() is not None:
            pass
        self._thread.join(_TIMEOUT_S)
        if self._error is not None:
            raise self._error
        return self._answer

    def kill(self) -> None:
        """End it where it stands."""
        self._dead = True
        self.advance()
        self._thread.join(_TIMEOUT_S)
        assert isinstance(self._error, Killed)

    def stand(self, step: str) -> None:
        """Called by the actor itself: wait for its turn."""
        if self.by_change and not self._dead:
            state = _state(Path(self._root))
            if state == self._state:
                return
            self._state = state
        if not self._dead:
            self._step = step
            self._stands.release()
            self._turn.acquire()
        if self._dead:
            raise Killed

    def sees(self, path: object) -> bool:
        """Whether a file is the lake's, and one that this sort of actor stands before."""
        name = os.fsdecode(path) if isinstance(path, str | bytes | os.PathLike) else ""
        if not name.startswith(self._root):
            return False
        return self.by_change or "/hot/" in name

    def _run(self) -> None:
        self._turn.acquire()
        _here.actor = self
        try:
            self._answer = self._work()
        except BaseException as error:  # noqa: BLE001 - raised again where it is looked at
            self._error = error
        finally:
            _here.actor = None
            self._step = None
            self._stands.release()


def looks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let readers also stand before each look that Python does not see."""
    for owner, name in (
        (DeltaStore, "snapshot"),
        (reader, "list_segments"),
        (reader, "lagging_traces"),
        (cold, "read_trace_days"),
        (cold, "read_spans"),
        (hot, "read_segment"),
    ):
        monkeypatch.setattr(owner, name, _stand_before(getattr(owner, name), name))


def _stand_before(function: Callable[..., Any], name: str) -> Callable[..., Any]:
    @wraps(function)
    def stood(*args: Any, **options: Any) -> Any:
        actor: Actor | None = getattr(_here, "actor", None)
        if actor is not None and not actor.by_change:
            actor.stand(name)
        return function(*args, **options)

    return stood


def _audit(event: str, args: tuple[Any, ...]) -> None:
    if event not in _SEEN:
        return
    actor: Actor | None = getattr(_here, "actor", None)
    if actor is not None and actor.sees(args[0]):
        actor.stand(f"{event} {Path(os.fsdecode(args[0])).name}")


def _state(root: Path) -> tuple[str, ...]:
    """Everything that a reader could find: in the hot folder and the logs, with sizes."""
    found: list[str] = []
    for folder in ("hot", *(f"{table}/_delta_log" for table in ("spans", "traces", "exchanges"))):
        try:
            with os.scandir(root / folder) as entries:
                names = [e for e in entries if not e.name.startswith(".")]
                found += sorted(f"{folder}/{e.name} {e.stat().st_size}" for e in names)
        except FileNotFoundError:
            found.append(f"no {folder}")
    return tuple(found)


sys.addaudithook(_audit)
