"""The live hub: watched traces are current, small, and told apart."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import pytest

from app.hub import IDLE_S, Hub
from tests.support import eventually
from tracelake.lake import Lake
from tracelake.model import utc_now

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def lake(tmp_path: Path) -> Iterator[Lake]:
    """An empty lake."""
    with Lake(tmp_path / "lake") as lake:
        yield lake


@pytest.fixture
def hub(lake: Lake) -> Iterator[Hub]:
    """A running hub of the lake."""
    hub = Hub(lake)
    hub.start()
    yield hub
    hub.stop()


def tell(lake: Lake, trace_id: str, span_id: str, **data: Any) -> None:
    """Append one event of an agent or, with `model`, of a call."""
    lake.append({
        "event_type": "llm_call" if "model" in data else "agent_start",
        "trace_id": trace_id, "span_id": span_id,
        "parent_id": "root" if "model" in data else None,
        "timestamp": utc_now(), "agent_name": "main", "data": data,
    })  # fmt: skip


def labels(hub: Hub, trace_id: str) -> list[str]:
    """Labels of the nodes of a trace, in order."""
    message = hub.watch(trace_id).message()
    assert message is not None
    return [node["label"] for node in message["nodes"]]


def test_a_watched_trace_has_what_was_there_and_what_comes(lake: Lake, hub: Hub) -> None:
    """What the lake held before and what is appended after are one graph."""
    tell(lake, "t", "root")
    assert labels(hub, "t") == ["main"]
    tell(lake, "t", "c", model="m1", status="running")
    eventually(lambda: "m1" in labels(hub, "t"))


def test_a_trace_can_be_watched_before_it_exists(lake: Lake, hub: Hub) -> None:
    """A link to a run that is about to start shows it from its first span."""
    assert labels(hub, "later") == []
    tell(lake, "later", "root")
    eventually(lambda: labels(hub, "later") == ["main"])


def test_two_traces_do_not_mix(lake: Lake, hub: Hub) -> None:
    """Equal span ids of two concurrent traces are two spans."""
    for trace_id, model in (("one", "m1"), ("two", "m2")):
        hub.watch(trace_id)
        tell(lake, trace_id, "root")
        tell(lake, trace_id, "c", model=model, status="ok")
    eventually(lambda: labels(hub, "one") == ["main", "m1"])
    eventually(lambda: labels(hub, "two") == ["main", "m2"])


def test_a_reader_gets_only_what_it_missed(lake: Lake, hub: Hub) -> None:
    """A delta continues where the reader stands and skips what it has."""
    tell(lake, "t", "root")
    trace = hub.watch("t")
    first = trace.message()
    assert first is not None
    assert first["type"] == "snapshot"
    assert trace.message(first["seq"]) is None
    tell(lake, "t", "c", model="m", status="ok", response="x" * 50_000)
    delta = eventually(lambda: trace.message(first["seq"]))
    assert delta["prev"] == first["seq"]
    assert [node["id"] for node in delta["nodes"]] == ["c", "c:response"]
    assert len(str(delta)) < 5_000


def test_the_end_of_a_run_without_a_root_is_told(lake: Lake, hub: Hub) -> None:
    """Only time ends it, so a reader that has all its spans hears of its status alone."""
    lake.append({
        "event_type": "llm_call", "trace_id": "t", "span_id": "c", "parent_id": "elsewhere",
        "timestamp": "2026-01-01T10:00:00Z", "agent_name": "solo", "data": {"status": "ok"},
    })  # fmt: skip
    trace = hub.watch("t")
    first = trace.message()
    assert first is not None
    assert trace.message(first["seq"], known="ok") is None
    told = trace.message(first["seq"], known="running")
    assert told is not None
    assert (told["status"], told["nodes"], told["prev"]) == ("ok", [], first["seq"])


def test_a_trace_that_fails_stops_no_other(lake: Lake, hub: Hub) -> None:
    """Whatever one trace holds, the others are followed as before."""

    def fail() -> None:
        broken.unlisten(fail)
        raise OverflowError

    broken, sound = hub.watch("broken"), hub.watch("t")
    broken.listen(fail)
    tell(lake, "broken", "a")
    eventually(lambda: not broken.has_listeners)
    tell(lake, "t", "b")
    eventually(lambda: sound.summary("b"))


def test_listeners_are_woken_from_another_thread(lake: Lake, hub: Hub) -> None:
    """News wake whoever waits; who left is not called again."""
    tell(lake, "t", "root")
    trace = hub.watch("t")
    woken = threading.Event()
    trace.listen(woken.set)
    tell(lake, "t", "c", model="m")
    assert woken.wait(5)
    trace.unlisten(woken.set)
    assert not trace.has_listeners


def test_traces_that_nobody_watches_are_forgotten(lake: Lake) -> None:
    """Memory holds the traces in use, not those of yesterday."""
    now = [0.0]
    hub = Hub(lake, clock=lambda: now[0])
    tell(lake, "t", "root")
    first = hub.watch("t")
    hub.start()
    now[0] = IDLE_S + 1
    eventually(lambda: not hub._watched())
    assert hub.watch("t") is not first
    hub.stop()


def test_events_during_the_first_read_are_not_lost(lake: Lake, hub: Hub) -> None:
    """Many writers and a first reader at once: in the end the graph has every span once."""
    tell(lake, "t", "root")

    def write(writer: int) -> None:
        for index in range(40):
            tell(lake, "t", f"s{writer}-{index}", model="m", status="ok")

    writers = [threading.Thread(target=write, args=(number,)) for number in range(3)]
    for writer in writers:
        writer.start()
    hub.watch("t")
    for writer in writers:
        writer.join()
    eventually(lambda: len(labels(hub, "t")) == 121)
    assert hub.watch("t").totals()["calls"] == 120


def test_each_new_run_is_counted_once(lake: Lake, hub: Hub) -> None:
    """Pages see at a glance that another run began, and list runs anew only then."""
    before = hub.runs
    tell(lake, "one", "root")
    eventually(lambda: hub.runs == before + 1)
    tell(lake, "one", "c", model="m1")
    tell(lake, "two", "root")
    eventually(lambda: hub.runs == before + 2)
