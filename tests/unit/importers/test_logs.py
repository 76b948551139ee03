"""Event logs and logs of model calls become traces."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

import pytest

from tests.unit.importers.conftest import import_into, state
from tracelake import Lake, Tracer
from tracelake.cli import main
from tracelake.errors import ImportFailed

if TYPE_CHECKING:
    from pathlib import Path


def write(path: Path, lines: list[dict[str, Any]]) -> Path:
    """A file of JSON lines."""
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def test_the_events_of_a_tracer_are_its_spans(tmp_path: Path) -> None:
    """A segment, copied as a file, opens as the lake that it was written for."""
    with Lake(tmp_path / "original") as lake, Tracer(lake) as tracer, tracer.agent("planner"):
        with tracer.llm(provider="openai", model="m", messages=[{"role": "user"}]) as call:
            call.finish(response="x", tokens_input=1)
        with pytest.raises(RuntimeError), tracer.tool("grep"):
            raise RuntimeError("no such file")
    (segment,) = (tmp_path / "original" / "hot").glob("*.jsonl")
    for _ in range(2):
        (report,) = import_into(tmp_path / "copy", segment)
        assert (report.format, report.spans, report.traces) == ("events as JSONL", 3, 1)
        spans, traces = state(tmp_path / "copy")
        assert spans.equals(state(tmp_path / "original")[0])
        assert traces.equals(state(tmp_path / "original")[1])


EVENT = {"event_type": "llm_call", "trace_id": "t", "span_id": "s"}


def test_events_that_do_not_say_where_they_come_from_are_imports(tmp_path: Path) -> None:
    """`source` is `import` unless any event of the span names another."""
    timed = {**EVENT, "timestamp": "2026-11-22T10:00:00Z"}
    lines = [
        {**timed, "data": {"status": "running", "source": "otlp"}},
        {**timed, "data": {"status": "ok"}},
        {**timed, "span_id": "u", "data": None, "colour": "red"},
    ]
    import_into(tmp_path / "copy", write(tmp_path / "x.log", lines))
    spans, _ = state(tmp_path / "copy")
    assert spans["source"].to_list() == ["otlp", "import"]
    assert spans["attributes"].to_list() == [None, '{"colour":"red"}']


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"event_type": "dance"}, "line 2: unknown event_type 'dance'"),
        ({"span_id": "a b"}, "line 2: span_id 'a b' is no id"),
        ({"parent_id": 7}, "line 2: parent_id 7 is no id"),
        ({"timestamp": "noon"}, "line 2: timestamp 'noon' is not a time"),
        ({"timestamp": None}, "line 2: timestamp None is not a time"),
        ({"data": [1]}, "line 2: data is not an object"),
    ],
)
def test_an_event_that_no_reader_could_place_changes_nothing(
    tmp_path: Path, change: dict[str, Any], said: str
) -> None:
    """The line is named, and the good line before it is not appended."""
    good = {**EVENT, "timestamp": "2026-11-22T10:00:00Z"}
    file = write(tmp_path / "x.jsonl", [good, {**good, **change}])
    with pytest.raises(ImportFailed) as raised:
        import_into(tmp_path / "copy", file)
    assert said in str(raised.value)
    assert not (tmp_path / "copy").exists()


def interaction(minute: int, agent: str, **values: Any) -> dict[str, Any]:
    """One line of the log."""
    return {
        "timestamp": f"2026-11-22T10:{minute:02}:00",
        "agent_name": agent,
        "provider": "anthropic",
        "model": "claude",
        "system_prompt": f"You are {agent}.",
        "messages": [{"role": "user", "content": "go"}],
        "response": f"{agent} said so",
        "duration_ms": 1500.0,
        "error": None,
        "metadata": {},
        **values,
    }


LOG = [
    interaction(0, "Orchestrator"),
    interaction(1, "parser", metadata={"input_tokens": 7, "temperature": 0}),
    interaction(2, "parser", error="overloaded", response=None, duration_ms=None),
    interaction(3, "Orchestrator"),
]


def test_a_log_of_calls_is_one_tree(tmp_path: Path) -> None:
    """Calls keep prompt, answer, error and time; agents are inferred, one orchestrator the root."""
    file = write(tmp_path / "x.jsonl", LOG)
    (report,) = import_into(tmp_path / "copy", file)
    assert (report.format, report.traces, report.spans) == ("LLM interactions as JSONL", 1, 6)
    spans, traces = state(tmp_path / "copy")
    assert traces.select("name", "status", "llm_calls", "error_count", "duration_ms").row(0) == (
        "orchestrator", "ok", 4, 2, 181_500.0,
    )  # fmt: skip
    agents = {row["name"]: row for row in spans.filter(kind="agent").iter_rows(named=True)}
    assert agents["orchestrator"]["role"] == "orchestrator"
    assert agents["orchestrator"]["parent_id"] is None
    assert agents["parser"]["parent_id"] == agents["orchestrator"]["span_id"]
    assert agents["parser"]["status"] == "error"
    assert agents["parser"]["evidence"] == "inferred"
    calls = spans.filter(kind="llm").sort("start_time")
    names = {agent["span_id"]: name for name, agent in agents.items()}
    assert [names[parent] for parent in calls["parent_id"]] == [
        "orchestrator", "parser", "parser", "orchestrator",
    ]  # fmt: skip
    assert set(calls["source"]) == {"import"}
    assert calls["status"].to_list() == ["ok", "ok", "error", "ok"]
    assert calls["duration_ms"].to_list() == [1500.0, 1500.0, None, 1500.0]
    assert calls["tokens_input"].to_list() == [None, 7, None, None]
    assert calls.select("system", "messages", "response", "error").row(0) == (
        "You are Orchestrator.", '[{"role":"user","content":"go"}]', "Orchestrator said so", None,
    )  # fmt: skip


def test_a_log_that_has_grown_adds_to_its_trace(tmp_path: Path) -> None:
    """Read again it changes nothing; with further lines the same trace goes on."""
    file, copy = tmp_path / "x.jsonl", tmp_path / "copy"
    import_into(copy, write(file, LOG[:2]))
    before = state(copy)
    import_into(copy, file)
    assert state(copy)[0].equals(before[0])
    with Lake(copy) as lake:
        lake.seal()
    import_into(copy, write(file, [*LOG, interaction(9, "tester")]))
    whole = tmp_path / "whole"
    import_into(whole, file)
    assert state(copy)[0].equals(state(whole)[0])
    assert state(copy)[1].equals(state(whole)[1])
    assert state(copy)[1].height == 1


def test_tasks_are_traces_of_their_own(tmp_path: Path) -> None:
    """Where lines name their task, each task is one trace, with the task as its session."""
    tasks = ["task 1", "task 2", "task 1"]
    lines = [interaction(n, "a", metadata={"task_id": task}) for n, task in enumerate(tasks)]
    import_into(tmp_path / "copy", write(tmp_path / "x.jsonl", lines))
    _, traces = state(tmp_path / "copy")
    found = dict(traces.select("session_id", "llm_calls").iter_rows())
    assert found == {"task 1": 2, "task 2": 1}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"timestamp": "noon"}, "line 2: Invalid isoformat string"),
        ({"timestamp": 1.5}, "line 2: timestamp is no text"),
        ({"agent_name": None}, "line 2: agent_name is no text"),
        ({"messages": "hello"}, "line 2: messages is no list"),
        ({"metadata": []}, "line 2: metadata is no object"),
        ({"duration_ms": -1}, "line 2: duration_ms is no length of time"),
        ({"duration_ms": 1e300}, "line 2: "),
    ],
)
def test_a_bad_interaction_changes_nothing(
    tmp_path: Path, change: dict[str, Any], said: str
) -> None:
    """The line is named."""
    file = write(tmp_path / "x.jsonl", [LOG[0], {**LOG[1], **change}])
    with pytest.raises(ImportFailed) as raised:
        import_into(tmp_path / "copy", file)
    assert said in str(raised.value)
    assert not (tmp_path / "copy").exists()


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("x.jsonl", b"", "is empty"),
        ("x.jsonl", b"hello\n", "line 1 is no JSON"),
        ("x.txt", b"hello\n", "is of no known format"),
        ("x.json", b'{"resourceSpans": []}', "is of no known format"),
        ("x.jsonl.gz", b"\x1f\x8b\x08\x00", "is compressed"),
    ],
)
def test_what_is_not_read_says_what_is(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, content: bytes, said: str
) -> None:
    """One line, exit code 1."""
    file = tmp_path / name
    file.write_bytes(content)
    assert main(["import", str(file), "--lake", str(tmp_path / "copy")]) == 1
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1
    assert not (tmp_path / "copy").exists()


def test_a_pipe_is_refused(tmp_path: Path) -> None:
    """It could not be checked before it is imported; opening it would wait for ever."""
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ImportFailed, match="a pipe cannot be read twice"):
        import_into(tmp_path / "copy", tmp_path / "pipe")


def test_a_large_import_is_sealed_on_the_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is hot stays bounded, and everything arrives once."""
    monkeypatch.setattr("tracelake.storage.sealer.SEAL_BYTES", 100_000)
    lines = [interaction(n % 60, f"a{n % 7}", response=f"{n}" * 50) for n in range(1200)]
    import_into(tmp_path / "copy", write(tmp_path / "x.jsonl", lines))
    with Lake(tmp_path / "copy") as lake:
        assert len(lake.files()) > 1
        assert lake.seal().events == 0
    assert state(tmp_path / "copy")[0].height == 1208
