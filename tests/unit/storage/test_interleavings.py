"""Exactly once at any moment: each step of a seal against each look of a reader, and each death.

The lake under test has everything in it that moves while it is sealed: spans that wait in a carry
and end, facts about spans that are sealed, new traces, new unfinished spans, a segment that is
still being written and one to be reaped, exchanges, a deletion, and more than fits one commit.
Nothing is written meanwhile, so every reader has one right answer at all times.
"""

from __future__ import annotations

import fcntl
import os
import shutil
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from tests.unit.storage.actors import Actor, looks
from tracelake import Lake
from tracelake.model import Exchange
from tracelake.storage.compactor import Compactor
from tracelake.storage.sealer import Sealer
from tracelake.storage.segment import list_segments
from tracelake.storage.xlog import ExchangeLog

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from pathlib import Path

T0 = datetime(2025, 11, 22, 10, tzinfo=UTC)
FAR = date(2999, 1, 1)
Answer = dict[str, list[tuple[Any, ...]]]


def event(trace: str, span: str, second: float, **data: Any) -> dict[str, Any]:
    """An event of a call; `running` unless it says otherwise."""
    return {
        "event_type": "span",
        "trace_id": trace,
        "span_id": span,
        "timestamp": T0 + timedelta(seconds=second),
        "data": {"kind": "llm", **data},
    }


def exchange(span: str, **more: Any) -> Exchange:
    """An exchange that was opened."""
    return Exchange(span, T0, "POST", "/v1/messages", "anthropic", (), b"ask", **more)


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A lake in the middle of its life."""
    root = tmp_path_factory.mktemp("template") / "lake"
    with Lake(root) as lake:
        log = ExchangeLog(lake.hot)
        for n in range(4):
            lake.append(event(f"old{n}", "call", n, status="ok", response="first"))
            lake.append(event(f"old{n}", "waits", n, status="running"))
        lake.append(event("gone", "call", 5, status="ok"))
        lake.append(event("gone", "waits", 5, status="running"))
        for name in ("e1", "e2"):
            log.opened(exchange(name))
        log.ended(exchange("e1", end_time=T0, status=200, outcome="ok"))
        log.done("e1", "old1", None)
        seal(root)
        lake.append(event("old0", "waits", 20, status="ok", response="ended"))
        lake.append(event("old1", "call", 21, attributes={"late": 1}, response="amended"))
        lake.close()  # what follows stands in a segment of its own
        lake.delete("gone")
        for n in range(3):
            lake.append(event(f"new{n}", "call", 30 + n, status="ok", response="r" * 300))
            lake.append(event(f"new{n}", "waits", 30 + n, status="running"))
        lake.append(event("old2", "third", 40, status="error", error="no"))
        lake.append(event("gone", "again", 41, status="ok"))
        log.ended(exchange("e2", end_time=T0, status=500, outcome="error"))
        log.done("e2", "old2", None)
        log.opened(exchange("e3"))
        log.close()
    return root


def seal(root: Path) -> None:
    """What the program under test does: seals in several commits, reaps at once, merges files."""
    location = Lake(root).location
    Sealer(location, lost_after_s=1e9, reap_grace_s=0, batch_bytes=1500).seal()
    Compactor(location).compact(today=FAR)


def read_spans(lake: Lake) -> Answer:
    """Every span."""
    rows = lake.spans().select("trace_id", "span_id", "status", "response", "attributes")
    return {"spans": sorted(rows.collect().rows())}


def read_traces(lake: Lake) -> Answer:
    """Every trace."""
    rows = lake.traces().select("trace_id", "span_count", "error_count", "status", "end_time")
    return {"traces": sorted(rows.collect().rows())}


def read_exchanges(lake: Lake) -> Answer:
    """Every exchange."""
    rows = lake.exchanges().select("span_id", "trace_id", "status", "outcome")
    return {"exchanges": sorted(rows.collect().rows(), key=str)}


def read_some(lake: Lake) -> Answer:
    """What is read another way than by scanning."""
    one = lake.trace("old1", columns=["span_id", "response"])
    latest = lake.latest_traces(3).select("trace_id").rows()
    return {"latest": latest, "trace": sorted(one.rows())}


ASKS = (read_spans, read_traces, read_exchanges, read_some)


def read(lake: Lake) -> Answer:
    """Everything that a reader can be asked, in a fixed order."""
    return {name: rows for ask in ASKS for name, rows in ask(lake).items()}


@contextmanager
def copy(template: Path, root: Path) -> Generator[Path]:
    """A lake like the template, the last segment held by its writer."""
    shutil.copytree(template, root)
    newest = list(list_segments(root / "hot").values())[-1]
    descriptor = os.open(newest, os.O_RDONLY)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    try:
        yield root
    finally:
        os.close(descriptor)
        shutil.rmtree(root)


def writer(root: Path) -> Actor:
    """A sealer that stands after each change that it makes."""
    return Actor(lambda: seal(root), root, by_change=True)


class Readers:
    """Readers of one lake that begin, stand and end when one says so."""

    def __init__(self, root: Path, truth: Answer) -> None:
        self._root = root
        self._truth = truth
        self.kept = Lake(root)
        self._waiting: list[tuple[int, str, Actor]] = []
        self.answers = 0

    def check(self, answer: Answer, when: str) -> None:
        """The one right answer, each item once."""
        self.answers += 1
        for name, rows in answer.items():
            assert rows == self._truth[name], f"{name}, {when}"

    def read_again(self, when: str) -> None:
        """One that has read all the time reads again."""
        self.check(read(self.kept), f"read again {when}")

    def read_anew(self, when: str) -> None:
        """One that never read before reads."""
        self.check(read(Lake(self._root)), f"read anew {when}")

    def stand(self, ask: Callable[[Lake], Answer], look: int, until: int, when: str) -> bool:
        """One begins and stands before a look; whether it has as many."""
        lake = Lake(self._root)
        actor = Actor(lambda: ask(lake), self._root, by_change=False)
        for _ in range(look):
            if actor.advance() is None:
                self.check(actor.finish(), when)
                return False
        self._waiting.append((until, f"{ask.__name__} stood at look {look} {when}", actor))
        return True

    def go_on(self, now: float) -> None:
        """Those go on that stood until now."""
        for until, when, actor in self._waiting:
            if until <= now:
                self.check(actor.finish(), f"{when}, until {now}")
        self._waiting = [waiting for waiting in self._waiting if waiting[0] > now]


@pytest.fixture(scope="module")
def truth(template: Path) -> Answer:
    """The one right answer."""
    answer = read(Lake(template))
    assert [row[:2] for row in answer["traces"]] == [
        ("new0", 2), ("new1", 2), ("new2", 2), ("old0", 2), ("old1", 2), ("old2", 3), ("old3", 2),
    ]  # fmt: skip
    assert len(answer["spans"]) == len({row[:2] for row in answer["spans"]}) == 15
    return answer


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """No waiting for the disk: no power fails here, and the order of the steps is the same."""
    monkeypatch.setattr(os, "fsync", lambda _descriptor: None)
    looks(monkeypatch)


def test_readers_at_each_step_of_a_seal(template: Path, truth: Answer, tmp_path: Path) -> None:
    """One that reads at all times, one that never read, one that reads now and then."""
    with copy(template, tmp_path / "lake") as root:
        readers, now_and_then = Readers(root, truth), Readers(root, truth)
        readers.read_again("before")
        sealer = writer(root)
        step = 0
        while (where := sealer.advance()) is not None:
            readers.read_again(f"at step {step}, {where}")
            readers.read_anew(f"at step {step}, {where}")
            if step % 3 == 0:
                now_and_then.read_again(f"at step {step}, {where}")
            step += 1
        sealer.finish()
        readers.read_again("after")
        assert step >= 12


@pytest.mark.parametrize("ask", [read_traces, read_exchanges])
def test_readers_that_stand_at_each_look(
    template: Path, truth: Answer, tmp_path: Path, ask: Callable[[Lake], Answer]
) -> None:
    """A reader begins at any step, stands at any look, and goes on at a later step.

    Asking for traces looks at everything that asking for spans does, and more.
    """
    with copy(template, tmp_path / "lake") as root:
        readers = Readers(root, truth)
        sealer = writer(root)
        step = 0
        while (where := sealer.advance()) is not None:
            readers.go_on(step)
            look = 1
            until = (step + 1, step + 3, 1 << 20)
            while readers.stand(ask, look, until[(look + step) % 3], f"from step {step}, {where}"):
                look += 1
            step += 1
        sealer.finish()
        readers.go_on(1 << 20)
        assert readers.answers > 4 * step


def test_a_reading_that_is_cut_off(template: Path, truth: Answer, tmp_path: Path) -> None:
    """Interrupted at any look, and asked again: nothing that was taken in is forgotten."""
    with copy(template, tmp_path / "lake") as root:
        readers = Readers(root, truth)
        sealer = writer(root)
        for look in range(1, 9):
            kept = Lake(root)
            readers.check(read_traces(kept), "before")
            where = sealer.advance()
            reading = Actor(lambda lake=kept: read_traces(lake), root, by_change=False)
            if all(reading.advance() is not None for _ in range(look)):
                reading.kill()
            readers.check(read(kept), f"after being cut off at look {look}, {where}")
        sealer.finish()


def crash(root: Path, at: int) -> str | None:
    """Kill a sealer at a step; where that was, None when it has fewer."""
    sealer = writer(root)
    where = None
    for _ in range(at):
        where = sealer.advance()
        if where is None:
            sealer.finish()
            return None
    sealer.kill()
    return where


@pytest.mark.parametrize("part", range(4))
def test_a_sealer_that_dies_at_each_step(
    template: Path, truth: Answer, tmp_path: Path, part: int
) -> None:
    """The next one makes it good; nobody notices before, meanwhile or after."""
    at = part + 1
    while True:
        with copy(template, tmp_path / "lake") as root:
            readers = Readers(root, truth)
            readers.read_again("before")
            where = crash(root, at)
            if where is None:
                break
            dead = f"after a death at step {at}, {where}"
            readers.read_again(dead)
            readers.read_anew(dead)
            for number, ask in enumerate(ASKS[:3]):
                for look in range(1 + (at + number) % 4, 12, 4):
                    readers.stand(ask, look, 1 + (look * at) % 14, dead)
            sealer = writer(root)
            step = 0
            while (where := sealer.advance()) is not None:
                readers.go_on(step)
                readers.check(ASKS[step % 2](readers.kept), f"{dead}, then at step {step}")
                step += 1
            sealer.finish()
            readers.go_on(1 << 20)
            readers.read_again(f"{dead}, after the next seal")
            readers.read_anew(f"{dead}, after the next seal")
        at += 4
    assert at > 12


def test_the_first_seal_of_a_copy(template: Path, tmp_path: Path) -> None:
    """The tables without their hot folder, recorded into: exact at each step and each death."""
    stripped = tmp_path / "stripped"
    shutil.copytree(template, stripped, ignore=shutil.ignore_patterns("hot"))
    with Lake(stripped) as lake:
        for n in range(3):
            lake.append(event(f"mine{n}", "call", n, status="ok", response="r" * 300))
            lake.append(event(f"mine{n}", "waits", n, status="running"))
        lake.append(event("old1", "call", 50, response="amended again"))
        truth = read(lake)
    assert len(truth["spans"]) == len({row[:2] for row in truth["spans"]}) == 10
    at, where = 0, ""
    while where is not None:
        at += 1
        with copy(stripped, tmp_path / "lake") as root:
            readers = Readers(root, truth)
            readers.read_again("before")
            where = crash(root, at)
            for ask in (readers.read_again, readers.read_anew):
                ask(f"after a death at step {at}, {where}")
            seal(root)
            for ask in (readers.read_again, readers.read_anew):
                ask(f"after the seal after a death at step {at}, {where}")
    assert at > 8
