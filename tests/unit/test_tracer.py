"""The in-process tracer: nesting, ends, and never breaking its host."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import orjson
import pytest

from tracelake import Lake, Tracer

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    """A lake that does not exist yet."""
    return Lake(tmp_path / "lake")


def rows(lake: Lake) -> list[dict[str, Any]]:
    """Every span as a dict, in start order."""
    return lake.spans().sort("start_time", "name").collect().to_dicts()


def test_nesting_gives_the_tree(lake: Lake) -> None:
    """Model and tool calls hang on their agent, a sub-agent on the agent that started it."""
    with Tracer(lake) as tracer, tracer.agent("boss", task="do it") as boss:
        with tracer.llm(provider="anthropic", model="m", messages=[{"role": "user"}]) as call:
            call.first_token()
            call.finish(response="hi", tokens_input=3, tokens_output=1)
        with tracer.tool("spawn") as spawn, tracer.agent("helper") as helper:
            pass
    found = {row["span_id"]: row for row in rows(lake)}
    assert {row["trace_id"] for row in found.values()} == {boss.trace_id}
    assert found[boss.span_id]["role"] == "orchestrator"
    assert found[helper.span_id]["role"] == "agent"
    assert found[helper.span_id]["parent_id"] == spawn.span_id
    assert found[call.span_id]["parent_id"] == boss.span_id
    assert found[call.span_id]["agent_name"] == "boss"
    assert found[call.span_id]["tokens_input"] == 3
    assert found[call.span_id]["ttft_ms"] >= 0
    assert {row["status"] for row in found.values()} == {"ok"}


def test_a_span_is_visible_while_it_runs(lake: Lake) -> None:
    """A reader sees a call before it has ended."""
    with Tracer(lake).agent("boss"):
        assert [row["status"] for row in rows(lake)] == ["running"]


def test_exceptions_pass_through_and_are_recorded(lake: Lake) -> None:
    """The host's own error reaches the host, and the span tells of it."""
    with pytest.raises(ValueError, match="bad"), Tracer(lake).agent("boss"):
        raise ValueError("bad")
    (row,) = rows(lake)
    assert (row["status"], row["error_type"], row["error"]) == ("error", "ValueError", "bad")


def test_a_cancelled_task_is_cancelled_not_failed(lake: Lake) -> None:
    """Cancelling a task is no error of the agent."""

    async def main() -> None:
        async def work() -> None:
            with Tracer(lake).agent("boss"):
                await asyncio.sleep(60)

        task = asyncio.create_task(work())
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    assert rows(lake)[0]["status"] == "cancelled"


def test_parallel_tasks_do_not_mix(lake: Lake) -> None:
    """Calls of agents that run at once as tasks hang on their own agent."""
    tracer = Tracer(lake)

    async def agent(name: str) -> None:
        with tracer.agent(name):
            for _ in range(3):
                with tracer.llm(model="m"):
                    await asyncio.sleep(0)

    async def main() -> None:
        with tracer.agent("boss"):
            await asyncio.gather(*(agent(f"a{i}") for i in range(4)))

    asyncio.run(main())
    found = rows(lake)
    names = {row["span_id"]: row["name"] for row in found}
    calls = [row for row in found if row["kind"] == "llm"]
    assert len(calls) == 12
    assert all(names[row["parent_id"]] == row["agent_name"] for row in calls)


def test_threads_belong_to_the_open_trace(lake: Lake) -> None:
    """Work handed to a pool is part of the trace; bound functions keep their exact place."""
    tracer = Tracer(lake)

    def call(name: str) -> None:
        with tracer.tool(name):
            pass

    with ThreadPoolExecutor(2) as pool, tracer.agent("boss") as boss, tracer.agent("sub") as sub:
        pool.submit(call, "loose").result()
        pool.submit(tracer.bind(call), "bound").result()
    found = {row["name"]: row for row in rows(lake)}
    assert {row["trace_id"] for row in found.values()} == {boss.trace_id}
    assert found["loose"]["parent_id"] == boss.span_id
    assert found["bound"]["parent_id"] == sub.span_id


def test_two_threads_two_traces(lake: Lake) -> None:
    """Agents started in threads of their own are traces of their own."""
    tracer = Tracer(lake)
    both_open = threading.Barrier(2)

    def run() -> None:
        with Tracer(lake).agent("boss"):
            both_open.wait()

    threads = [threading.Thread(target=run) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert tracer.dropped == 0
    assert len({row["trace_id"] for row in rows(lake)}) == 2


def test_a_call_without_an_agent_gets_one(lake: Lake) -> None:
    """A trace has one root agent even when the program names none."""
    with Tracer(lake).llm(model="m"):
        pass
    root, call = sorted(rows(lake), key=lambda row: row["kind"])
    assert (root["kind"], root["evidence"], root["parent_id"]) == ("agent", "inferred", None)
    assert (call["parent_id"], root["status"]) == (root["span_id"], "ok")


def test_decorated_functions_keep_their_nature(lake: Lake) -> None:
    """Sync and async functions return, raise and look as before; each call is a tool span."""
    tracer = Tracer(lake)

    @tracer.traced_tool
    def grep(pattern: str, path: str = ".") -> str:
        """Find."""
        if pattern == "bad":
            raise KeyError(pattern)
        return pattern + path

    @tracer.traced_tool("fetch")
    async def get(url: str) -> dict[str, str]:
        return {"url": url}

    with tracer.agent("boss"):
        assert grep("a", path="b") == "ab"
        assert asyncio.run(get("u")) == {"url": "u"}
        with pytest.raises(KeyError):
            grep("bad")
    assert (grep.__name__, grep.__doc__) == ("grep", "Find.")
    assert asyncio.iscoroutinefunction(get)
    tools = [row for row in rows(lake) if row["kind"] == "tool"]
    assert [row["name"] for row in tools] == ["grep", "fetch", "grep"]
    assert orjson.loads(tools[0]["parameters"]) == {"pattern": "a", "path": "b"}
    assert tools[1]["result"] == '{"url":"u"}'
    assert tools[2]["error_type"] == "KeyError"


def test_values_that_cannot_be_said_do_not_break_the_host(lake: Lake) -> None:
    """Odd arguments and results are recorded as text."""
    tracer = Tracer(lake)

    @tracer.traced_tool
    def odd(value: object) -> object:
        return value

    thing = object()
    with tracer.agent("boss"):
        assert odd(thing) is thing
    assert tracer.dropped == 0


def test_a_folder_that_cannot_be_written_does_not_break_the_host(tmp_path: Path) -> None:
    """Telemetry that fails is counted and the program goes on."""
    (tmp_path / "file").write_text("no folder")
    tracer = Tracer(tmp_path / "file")
    with tracer.agent("boss"), tracer.llm(model="m") as call:
        call.finish(response="hi")
    assert tracer.dropped == 4
    assert isinstance(tracer.last_error, OSError)


def test_importing_and_tracing_load_no_data_frame_library(tmp_path: Path) -> None:
    """A traced program pays for no polars, pyarrow, deltalake or streamlit."""
    program = (
        "import sys, tracelake\n"
        f"with tracelake.Tracer({str(tmp_path)!r}).agent('a'): pass\n"
        "heavy = {'polars', 'pyarrow', 'deltalake', 'streamlit', 'narwhals', 'pandas'}\n"
        "sys.exit(', '.join(heavy & set(sys.modules)) or 0)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr
