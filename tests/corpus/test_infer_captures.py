"""Real client programs, captured: the structure that the inference finds against labels."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from tests.corpus.infer_labels import LABELS
from tests.corpus.infer_scores import scores
from tests.corpus.infer_support import (
    CAPTURES,
    client_of,
    infer,
    read_capture,
    shifted,
    show_tree,
    without_headers,
)
from tracelake.infer import Inference, process_key

if TYPE_CHECKING:
    from collections.abc import Callable

    from tracelake.model import Exchange

NAMES = sorted(LABELS)
TRACE_NEEDS_PROCESS = {"sdk_all"}

pytestmark = pytest.mark.skipif(
    not CAPTURES.is_dir(), reason=f"no captures of client programs: {CAPTURES} is absent"
)


def run_of(name: str, *, pid: int = 7) -> list[Exchange]:
    """The exchanges of a capture, all by one program."""
    return read_capture(CAPTURES / f"{name}.jsonl", client_of(pid))


def inferred(exchanges: list[Exchange]) -> list[dict[str, Any]]:
    """Spans of a run whose program has ended."""
    ends = max(e.end_time for e in exchanges if e.end_time is not None)

    def end(inference: Inference) -> list[dict[str, Any]]:
        keys = sorted({key for e in exchanges if (key := process_key(e.client))})
        at = ends + timedelta(seconds=1)
        told = [e for key in keys for e in inference.program_ended(pid_key=key, at=at)]
        return told + inference.idle(ends + timedelta(hours=1))

    return infer(exchanges, end)


def assert_one_tree(spans: list[dict[str, Any]]) -> None:
    """Every trace has one root, an orchestrator agent, and every parent is in the trace."""
    for trace_id in {span["trace_id"] for span in spans}:
        own = [span for span in spans if span["trace_id"] == trace_id]
        ids = {span["span_id"] for span in own}
        roots = [span for span in own if span["parent_id"] is None]
        assert len(roots) == 1, show_tree(own)
        assert (roots[0]["kind"], roots[0]["role"]) == ("agent", "orchestrator"), show_tree(own)
        assert all(span["parent_id"] in ids for span in own if span is not roots[0])
        roles = [s["role"] for s in own if s["kind"] == "agent" and s is not roots[0]]
        assert set(roles) <= {"agent"}
        assert all(span["status"] != "running" for span in own), show_tree(own)
        assert all(
            span["end_time"] <= roots[0]["end_time"] for span in own if span["kind"] != "tool"
        )


@pytest.mark.parametrize("name", NAMES)
def test_structure_of_a_run_is_all_right(name: str) -> None:
    """With the client process known, threads, agents, parents and results are all right."""
    spans = inferred(run_of(name))
    assert len({span["trace_id"] for span in spans}) == 1
    assert_one_tree(spans)
    found = scores(name, LABELS[name], spans)
    assert all(score.is_perfect for score in found.values()), f"{found}\n{show_tree(spans)}"


@pytest.mark.parametrize("name", NAMES)
def test_structure_is_found_in_the_bodies_alone(name: str) -> None:
    """Without headers and process, the bodies alone give the same threads, parents, results."""
    spans = inferred([without_headers(exchange) for exchange in run_of(name)])
    assert_one_tree(spans)
    if name not in TRACE_NEEDS_PROCESS:
        assert len({span["trace_id"] for span in spans}) == 1
        found = scores(name, LABELS[name], spans)
        assert all(score.is_perfect for score in found.values()), f"{found}\n{show_tree(spans)}"


@pytest.mark.parametrize("name", NAMES)
def test_overlapping_identical_runs_stay_apart(name: str) -> None:
    """Two runs of one program at the same time are two traces, each as if it were alone."""
    alone = inferred(run_of(name))
    first = run_of(name, pid=7)
    again = shifted(run_of(name), "again", timedelta(milliseconds=13), client=client_of(8))
    for exchange in again if name == "anton_openai" else ():
        headers = tuple(
            (k, "second-task") if k.lower() == "x-task-id" else (k, v)
            for k, v in exchange.request_headers
        )
        object.__setattr__(exchange, "request_headers", headers)
    spans = inferred([*first, *again])
    assert_one_tree(spans)
    traces = {span["trace_id"] for span in spans}
    assert len(traces) == 2
    for trace_id in traces:
        own = [span for span in spans if span["trace_id"] == trace_id]
        assert shape(own) == shape(alone)


def shape(spans: list[dict[str, Any]]) -> list[tuple[Any, ...]]:
    """The tree of a trace without its ids."""
    names = {span["span_id"]: (span["kind"], span["name"]) for span in spans}
    rows = [
        (s["kind"], s["name"], names.get(s["parent_id"]), s["status"], s["result"]) for s in spans
    ]
    return sorted(rows, key=str)


def test_scores_of_all_captures(figures: Callable[[str], None]) -> None:
    """Prints precision and recall per capture, with the process known and by bodies alone."""
    lines = [f"{'capture':<26}{'evidence':<10}{'threads':<26}{'agents':<26}{'parents':<26}tools"]
    for name in NAMES:
        for evidence in ("full", "body"):
            run = run_of(name)
            if evidence == "body":
                run = [without_headers(exchange) for exchange in run]
            found = scores(name, LABELS[name], inferred(run))
            cells = "".join(f"{found[k]!s:<26}" for k in ("threads", "agents", "parents", "tools"))
            lines.append(f"{name:<26}{evidence:<10}{cells}")
    figures("\n".join(lines))
