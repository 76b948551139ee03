"""A trace as the nodes of a call graph, for the HTTP API. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tracelake.graph.elements import ANSWER
from tracelake.model import to_iso
from tracelake.playground.draft import PROVIDER_OF

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_LABEL_CHARS = 120


def graph_nodes(
    spans: Sequence[Mapping[str, Any]], checkpoints: Mapping[str, list[dict[str, Any]]]
) -> list[dict[str, Any]]:
    """One node for each span, and one for each answer of a model, in start order.

    Args:
        spans: Columns of `spans`, JSON columns parsed, in start order.
        checkpoints: The named checkpoints of each span that has any.

    Returns:
        Nodes of `id`, `type` (orchestrator, agent, llm, tool, response or the span's kind),
        `label`, `timestamp` (ISO 8601 or null), `parent` (id or null), `children` (ids) and `data`:
        `full_prompt`, `response`, `editable`, `checkpoint_data` (what an edit starts from, and the
        checkpoints that were set there).
    """
    nodes: list[dict[str, Any]] = []
    for span in spans:
        nodes.append(_node(span, checkpoints.get(str(span["span_id"]), [])))
        if span["kind"] == "llm" and span["response"]:
            nodes.append(_answer(span))
    known = {node["id"]: node for node in nodes}
    for node in nodes:
        if node["parent"] not in known:
            node["parent"] = None
        else:
            known[node["parent"]]["children"].append(node["id"])
    return nodes


def _node(span: Mapping[str, Any], checkpoints: list[dict[str, Any]]) -> dict[str, Any]:
    is_call = span["kind"] == "llm"
    starts = _start_of_edit(span)
    prompt = {"system": span["system"], "messages": span["messages"]} if is_call else None
    data = {"trace_id": span["trace_id"], "span_id": span["span_id"], **(starts or {})}
    return {
        "id": span["span_id"],
        "type": _type(span),
        "label": _label(span),
        "timestamp": to_iso(span["start_time"]) if span["start_time"] else None,
        "parent": span["parent_id"],
        "children": [],
        "data": {
            "status": span["status"],
            "full_prompt": prompt if is_call else span["parameters"],
            "response": span["response"] if is_call else span["result"],
            "editable": starts is not None,
            "checkpoint_data": {**data, "checkpoints": checkpoints}
            if starts is not None or checkpoints
            else None,
        },
    }


def _start_of_edit(span: Mapping[str, Any]) -> dict[str, Any] | None:
    """What an edit of a call or of a tool's result starts from; None where there is no such."""
    api = (span["attributes"] or {}).get("api")
    if span["kind"] == "llm" and api in PROVIDER_OF:
        return {
            "api": api,
            "system": span["system"],
            "messages": span["messages"],
            "tools": span["tools"],
            "parameters": span["request"],
        }
    if span["kind"] == "tool" and span["result"] is not None:
        return {"parameters": span["parameters"], "result": span["result"]}
    return None


def _answer(span: Mapping[str, Any]) -> dict[str, Any]:
    ended = span["end_time"] or span["start_time"]
    return {
        "id": f"{span['span_id']}{ANSWER}",
        "type": "response",
        "label": _short(span["response"]),
        "timestamp": to_iso(ended) if ended else None,
        "parent": span["span_id"],
        "children": [],
        "data": {
            "status": span["status"],
            "full_prompt": None,
            "response": span["response"],
            "editable": True,
            "checkpoint_data": {
                "trace_id": span["trace_id"],
                "span_id": span["span_id"],
                "response_blocks": span["response_blocks"],
            },
        },
    }


def _type(span: Mapping[str, Any]) -> str:
    if span["kind"] == "agent" and span["role"] == "orchestrator":
        return "orchestrator"
    return span["kind"] or "other"


def _label(span: Mapping[str, Any]) -> str:
    named = {"llm": "model", "tool": "tool_name", "agent": "agent_name"}.get(span["kind"], "name")
    return _short(span[named] or span["name"] or span["kind"] or "span")


def _short(text: str) -> str:
    joined = " ".join(text.split())
    return joined if len(joined) <= _LABEL_CHARS else f"{joined[: _LABEL_CHARS - 1]}…"
