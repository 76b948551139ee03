"""A program that writes its own trace, and the Live page on it, for the tests of that page."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.e2e.browser import COUNT_NODES, free_port, running_app
from tracelake.model import utc_now

if TYPE_CHECKING:
    from collections.abc import Generator
    from datetime import datetime

    from playwright.sync_api import Page

    from tracelake.lake import Lake

#: The component in the page.
GRAPH = "window.tracelakeGraph.live"
ROOT = Path(__file__).resolve().parents[2]


class Run:
    """A program that writes its own trace."""

    def __init__(self, lake: Lake, trace_id: str, *, at: datetime | None = None) -> None:
        self.lake = lake
        self.trace_id = trace_id
        self.tell("agent_start", "root", None, at=at, role="orchestrator")

    def tell(
        self,
        event_type: str,
        span_id: str,
        parent: str | None = "root",
        agent: str = "orchestrator",
        *,
        at: datetime | None = None,
        **data: Any,
    ) -> None:
        """Append one event, of a moment or of now."""
        self.lake.append({
            "event_type": event_type, "trace_id": self.trace_id, "span_id": span_id,
            "parent_id": parent, "timestamp": at or utc_now(), "agent_name": agent, "data": data,
        })  # fmt: skip

    def call(
        self, span_id: str, parent: str = "root", agent: str = "orchestrator", **data: Any
    ) -> None:
        """A finished model call."""
        self.tell("llm_call", span_id, parent, agent, status="running", model="claude-sonnet-4-6")
        answer: dict[str, Any] = {"status": "ok", "response": f"answer {span_id}", **data}
        self.tell("llm_call", span_id, parent, agent, **answer)


@contextmanager
def serve(lake: Path, port: int | None = None) -> Generator[str]:
    """The app on a lake, as `streamlit run app` starts it."""
    port = port or free_port()
    command = [sys.executable, "-m", "streamlit", "run", "app", "--server.headless", "true"]
    command += ["--server.port", str(port)]
    log = lake.with_suffix(".app.log")
    with running_app(command, port=port, lake=lake, cwd=ROOT, log=log) as url:
        yield url


def show(page: Page, base: str, trace_id: str, nodes: int = 1) -> None:
    """Open a trace and wait until its graph has that many nodes."""
    page.goto(f"{base}/live?trace={trace_id}")
    page.wait_for_function(f"({COUNT_NODES})() >= {nodes}")
    page.wait_for_function(f"{GRAPH}.state === 'live'")
