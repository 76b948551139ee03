"""A lake of its own for each test of a page, and the app pointed at it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from app import hub, service
from tracelake.lake import Lake

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROOT = Path(__file__).resolve().parents[2]
#: One run of a page on a busy machine, seconds.
TIMEOUT_S = 60


@pytest.fixture
def lake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Lake]:
    """An empty lake that the app opens."""
    monkeypatch.setenv("TRACELAKE_DIR", str(tmp_path / "lake"))
    monkeypatch.delenv("TRACELAKE_TOKEN", raising=False)
    for name in ("ANTHROPIC_API_KEY", "OPENAI_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    cached = (service.location, service.lake, service.demos)
    for function in cached:
        function.cache_clear()
    st.cache_data.clear()
    hub.stop()
    hub.start(service.lake())
    with Lake(tmp_path / "lake") as lake:
        yield lake
    hub.stop()
    service.stop_provider()
    service.stop_collector()
    service.lake().close()
    for function in cached:
        function.cache_clear()


@pytest.fixture
def open_page(lake: Lake) -> Callable[..., AppTest]:
    """Opens a page of the app by its name, with URL parameters, and runs it once."""

    def open_page(name: str, **params: Any) -> AppTest:
        page = AppTest.from_file(str(ROOT / "app" / "main.py"), default_timeout=TIMEOUT_S)
        page.switch_page(f"../pages/{name}.py")
        for key, value in params.items():
            page.query_params[key] = value
        page.run()
        assert not page.exception, page.exception[0].message
        return page

    return open_page


@pytest.fixture
def filled(lake: Lake) -> Lake:
    """The lake with three traces: one that went well, one that failed, one still running."""
    add_trace(lake, "good", agent="coder", model="claude-sonnet-4-5", day=20)
    add_trace(lake, "bad", agent="tester", model="gpt-4o", day=21, error="rate limited <b>hard</b>")
    add_trace(lake, "live", agent="coder", model="gpt-4o", day=22, ended=False)
    return lake


def figures(page: AppTest) -> dict[str, str]:
    """The numbers under their names that a page shows."""
    drawn = "".join(element.proto.body for element in page.get("html"))
    return dict(re.findall(r"<dt>(.*?)</dt><dd>(.*?)</dd>", drawn))


def add_trace(
    lake: Lake,
    trace_id: str,
    *,
    agent: str,
    model: str,
    day: int,
    error: str | None = None,
    ended: bool = True,
) -> None:
    """Append a trace of one agent with one model call and one tool call."""
    at = f"2026-11-{day}T10:00:00.000000Z"
    common = {"trace_id": trace_id, "timestamp": at, "agent_name": agent}
    lake.append(
        {
            "event_type": "agent_start",
            "span_id": "root",
            **common,
            "data": {"name": f"Task {trace_id}", "role": "orchestrator", "source": "proxy"},
        }
    )
    call: dict[str, Any] = {
        "provider": "anthropic" if model.startswith("claude") else "openai",
        "model": model,
        "system": f"You are {agent}.",
        "messages": [{"role": "user", "content": f"Do {trace_id} & <i>quickly</i>."}],
        "request": {"model": model, "max_tokens": 100, "stream": True},
        "response": None if error else f"Did {trace_id}.",
        "response_blocks": None if error else [{"type": "text", "text": f"Did {trace_id}."}],
        "finish_reason": None if error else "end_turn",
        "tokens": {"input": 100, "output": 20},
        "cost_usd": 0.25,
        "duration_ms": 1500.0,
        "ttft_ms": 200.0,
        "error": error,
        "source": "proxy",
        "api": "messages" if model.startswith("claude") else "chat",
    }
    lake.append({"event_type": "llm_call", "span_id": "call", "parent_id": "root", **common,
                 "data": call})  # fmt: skip
    tool = {"tool_name": "grep", "result": "3 hits", "duration_ms": 10.0, "source": "proxy"}
    lake.append({"event_type": "tool_call", "span_id": "tool", "parent_id": "root", **common,
                 "data": tool})  # fmt: skip
    if ended:
        end = {**common, "timestamp": f"2026-11-{day}T10:00:05.000000Z"}
        status = "error" if error else "ok"
        lake.append({"event_type": "agent_end", "span_id": "root", **end,
                     "data": {"status": status}})  # fmt: skip
