"""Event logs and logs of model calls become traces."""

from __future__ import annotations

import json
import os
import sqlite3
from contextlib import closing
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
        "messages": [
            {"role": "user", "content": "go"},
            {"role": "assistant", "content": f"{agent} said so"},
        ],
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
    assert (report.format, report.traces, report.spans) == ("calls as JSONL", 1, 6)
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
    assert f"{calls['start_time'][0]:%H:%M:%S.%f}" == "09:59:58.500000"
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


def test_the_files_of_a_run_are_one_trace(tmp_path: Path) -> None:
    """An agent writes a file each second: a folder is read as runs, parted by long pauses."""
    folder, copy = tmp_path / "traces", tmp_path / "copy"
    folder.mkdir()
    for number, line in enumerate(LOG):
        write(folder / f"{line['agent_name']}_20261122_1000{number:02}.jsonl", [line])
    write(folder / "later.jsonl", [interaction(40, "parser")])
    summary = {"total_interactions": 4, "by_agent": {}, "interactions": LOG}
    (folder / "trace_summary.json").write_text(json.dumps(summary, indent=2))
    for _ in range(2):
        (report,) = import_into(copy, folder)
        assert (report.file, report.traces, report.spans) == (str(folder), 2, 9)
    _, traces = state(copy)
    assert sorted(traces["llm_calls"]) == [1, 4]
    write(tmp_path / "one.jsonl", LOG)
    import_into(copy, tmp_path / "one.jsonl")
    assert state(copy)[1].height == 2


def test_lines_that_name_their_trace_and_tools(tmp_path: Path) -> None:
    """Newer logs tell of tools, counts and costs, and whose trace they are of."""
    named = {"trace_id": "abc", "tokens": {"input": 5, "output": 2, "total": 7}, "cost_usd": 0.5}
    call = {**interaction(0, "module_api", provider="claude", **named), "span_id": "s1"}
    tool = {
        "timestamp": "2026-11-22T10:00:01",
        "agent_name": "module_api",
        "tool_name": "read_file",
        "trace_id": "abc",
        "span_id": "s2",
        "parent_id": "s1",
        "duration_ms": 150,
        "success": False,
        "parameters": {"file_path": "a.py"},
        "result": "no such file",
    }
    import_into(tmp_path / "copy", write(tmp_path / "x.jsonl", [call, tool]))
    spans, traces = state(tmp_path / "copy")
    assert traces.select("trace_id", "tool_calls", "error_count", "tokens_input").row(0) == (
        "abc", 1, 1, 5,
    )  # fmt: skip
    (found,) = spans.filter(kind="tool").iter_rows(named=True)
    assert (found["tool_name"], found["status"], found["result"]) == (
        "read_file", "error", "no such file",
    )  # fmt: skip
    assert (found["parameters"], found["duration_ms"]) == ('{"file_path":"a.py"}', 150)
    (model,) = spans.filter(kind="llm").iter_rows(named=True)
    assert (model["provider"], model["cost_usd"], model["tokens_output"]) == ("anthropic", 0.5, 2)
    assert found["parent_id"] == model["parent_id"]


def _database(path: Path, calls: list[dict[str, Any]]) -> Path:
    """A database as Anton's proxy makes one."""
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("CREATE TABLE traces (trace_id TEXT PRIMARY KEY, task_id TEXT)")
        database.execute(
            "CREATE TABLE llm_calls (call_id TEXT PRIMARY KEY, trace_id TEXT, parent_id TEXT, "
            "created_at TIMESTAMP, provider TEXT, model TEXT, messages JSON, response TEXT, "
            "finish_reason TEXT, duration_ms REAL, tokens_input INTEGER, tokens_output INTEGER, "
            "cost_usd REAL, agent_name TEXT, error TEXT)"
        )
        database.execute("INSERT INTO traces VALUES ('t1', 'task')")
        for call in calls:
            names = ", ".join(call)
            marks = ", ".join("?" * len(call))
            database.execute(
                f"INSERT INTO llm_calls ({names}) VALUES ({marks})",
                list(call.values()),
            )
    return path


STORED = {
    "call_id": "c1",
    "trace_id": "t1",
    "created_at": "2026-11-22T10:00:00.250000",
    "provider": "claude",
    "model": "claude-sonnet-4-5",
    "messages": '[{"role": "user", "content": "go"}]',
    "response": "done",
    "duration_ms": 1000.0,
    "tokens_input": 9,
    "agent_name": "coder",
}


def test_the_database_of_a_proxy_is_read(tmp_path: Path) -> None:
    """Calls with their times, counts and errors; one that never ended is lost."""
    calls = [
        STORED,
        {**STORED, "call_id": "c2", "response": None, "error": "overloaded"},
        {**STORED, "call_id": "c3", "response": None, "duration_ms": None, "agent_name": None},
    ]
    file = _database(tmp_path / "traces.db", calls)
    for _ in range(2):
        (report,) = import_into(tmp_path / "copy", file)
        assert (report.format, report.traces, report.spans) == ("calls in SQLite", 1, 5)
    spans, traces = state(tmp_path / "copy")
    assert traces.select("trace_id", "session_id", "llm_calls").row(0) == ("t1", "task", 3)
    calls_ = spans.filter(kind="llm")
    assert sorted(calls_["status"]) == ["error", "lost", "ok"]
    done = calls_.filter(status="ok").row(0, named=True)
    assert f"{done['start_time']:%H:%M:%S.%f} {done['duration_ms']}" == "10:00:00.250000 1000.0"
    assert (done["provider"], done["tokens_input"], done["agent_name"]) == ("anthropic", 9, "coder")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"messages": "[["}, "call c1: "),
        ({"messages": "{}"}, "call c1: messages is no list"),
        ({"created_at": "noon"}, "call c1: Invalid isoformat string"),
    ],
)
def test_a_bad_database_changes_nothing(tmp_path: Path, change: dict[str, Any], said: str) -> None:
    """The call is named."""
    file = _database(tmp_path / "traces.db", [{**STORED, **change}])
    with pytest.raises(ImportFailed) as raised:
        import_into(tmp_path / "copy", file)
    assert said in str(raised.value)
    assert not (tmp_path / "copy").exists()


def _otlp(span_id: str, parent_id: str, **attributes: str) -> dict[str, Any]:
    given = [
        {"key": key.replace("__", "."), "value": {"stringValue": value}}
        for key, value in attributes.items()
    ]
    span = {
        "traceId": "0af7651916cd43dd8448eb211c80319c",
        "spanId": span_id,
        "parentSpanId": parent_id,
        "name": "one",
        "startTimeUnixNano": "1763805600000000000",
        "endTimeUnixNano": "1763805601000000000",
        "attributes": given,
    }
    return {"resourceSpans": [{"scopeSpans": [{"spans": [span]}]}]}


@pytest.mark.parametrize("is_document", [False, True])
def test_opentelemetry_in_a_file_is_one_tree(tmp_path: Path, *, is_document: bool) -> None:
    """A request a line, or one list of them; children may stand before their parents."""
    requests = [
        _otlp("b7ad6b7169203332", "b7ad6b7169203331", gen_ai__operation__name="chat"),
        _otlp(
            "b7ad6b7169203331",
            "",
            gen_ai__operation__name="invoke_agent",
            gen_ai__agent__name="planner",
        ),
    ]
    file = tmp_path / "spans.json"
    write(file, requests)
    if is_document:
        file.write_text(json.dumps(requests, indent=1))
    for _ in range(2):
        (report,) = import_into(tmp_path / "copy", file)
        assert (report.format, report.spans) == ("OpenTelemetry as JSON", 2)
    spans, traces = state(tmp_path / "copy")
    assert traces.select("name", "llm_calls").rows() == [("planner", 1)]
    kinds = dict(spans.select("kind", "parent_id").iter_rows())
    assert kinds == {"agent": None, "llm": "b7ad6b7169203331"}
    with Lake(tmp_path / "copy") as lake:
        lake.seal()
    assert state(tmp_path / "copy")[0].height == 2


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
        ("x.json", b'{"resourceSpans": []}', "holds no span"),
        ("x.json", b'{"colour": "red"}', "is of no known format"),
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
