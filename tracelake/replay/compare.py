"""Two traces side by side: aligned spans, what changed, how much it cost. Pure.

comparison = compare(trace_a, spans_a, trace_b, spans_b)
comparison.rows       merged tree in order: same, changed, only_before, only_after
comparison.totals     tokens, cost, latency: before, after, change
comparison.output     word-level difference of the final outputs
pair_diff(a, b)       word-level differences of any two spans
merged_graph(…)       nodes and edges with a status, for drawing
"""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from tracelake.model import OFFLINE_NOTE
from tracelake.playground.compare import Chunk, Delta, tool_calls_text, word_diff
from tracelake.replay.align import align, changed_parts
from tracelake.wire import conversation

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from tracelake.replay.align import Span

Status = Literal["same", "changed", "only_before", "only_after"]
_NUMBERS = ("tokens_input", "tokens_output", "cost_usd", "duration_ms")
_LABEL_CHARS = 80


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the comparison: two spans that stand for each other, or one alone.

    Attributes:
        id: Of the pair: the span of the first trace, else the one of the second.
        parent: Row that it hangs on.
        parts: Of a changed pair: input, output, outcome; `below` when only spans below differ.
        match: How replay answered it, where it did.
        deltas: Tokens, cost and latency.
    """

    id: str
    parent: str | None
    depth: int
    status: Status
    kind: str
    name: str
    agent_name: str | None
    before: str | None
    after: str | None
    match: str | None = None
    parts: tuple[str, ...] = ()
    deltas: tuple[Delta, ...] = ()
    before_text: str = ""
    after_text: str = ""

    def to_json(self) -> dict[str, Any]:
        """For scripts: numbers by name as `{before, after, change}`."""
        numbers = {delta.name: _delta_json(delta) for delta in self.deltas}
        return {**asdict(self), "parts": list(self.parts), "deltas": numbers}


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two traces side by side.

    Attributes:
        matches: Calls of the second trace by match level.
        spent_usd: What the second trace really cost: its live calls; None when one has no price.
        output: Difference of the final outputs by words.
    """

    before_trace: str
    after_trace: str
    rows: tuple[Row, ...]
    totals: tuple[Delta, ...]
    counts: Mapping[str, int]
    matches: Mapping[str, int]
    spent_usd: float | None
    output: tuple[Chunk, ...]
    output_changed: bool

    def to_json(self) -> dict[str, Any]:
        """For scripts and the HTTP API."""
        return {
            "before": self.before_trace,
            "after": self.after_trace,
            "counts": dict(self.counts),
            "matches": dict(self.matches),
            "spent_usd": self.spent_usd,
            "totals": {delta.name: _delta_json(delta) for delta in self.totals},
            "output_changed": self.output_changed,
            "output": [[chunk.op, chunk.text] for chunk in self.output],
            "rows": [row.to_json() for row in self.rows],
        }


def compare(
    before_trace: Mapping[str, Any],
    before: Sequence[Span],
    after_trace: Mapping[str, Any],
    after: Sequence[Span],
) -> Comparison:
    """Compare two traces.

    Args:
        before_trace: Row of `traces` of the first.
        before: Its spans, rows of `spans` in start order.
        after_trace: Row of `traces` of the second.
        after: Its spans.
    """
    rows = tuple(_rows(before, after))
    outputs = [str(trace.get("final_output") or "") for trace in (before_trace, after_trace)]
    numbers = ("duration_ms", "llm_calls", "tool_calls", "tokens_input", "tokens_output")
    totals = (*numbers, "cost_usd", "error_count")
    return Comparison(
        before_trace=str(before_trace["trace_id"]),
        after_trace=str(after_trace["trace_id"]),
        rows=rows,
        totals=tuple(Delta(n, before_trace.get(n), after_trace.get(n)) for n in totals),
        counts=Counter(row.status for row in rows),
        matches=Counter(str(span["match"]) for span in after if span.get("match")),
        spent_usd=_spent(after),
        output=tuple(word_diff(outputs[0], outputs[1])),
        output_changed=outputs[0] != outputs[1],
    )


def pair_diff(before: Span | None, after: Span | None) -> dict[str, list[Chunk]]:
    """Differences by words of two spans: `input`, `output`, and `calls` where a model called tools.

    An absent span counts as empty, so that what only one trace has is shown as added or removed.
    """
    texts = [span_texts(span) for span in (before, after)]
    return {
        part: word_diff(texts[0][part], texts[1][part])
        for part in ("input", "output", "calls")
        if texts[0][part] or texts[1][part]
    }


def span_texts(span: Span | None) -> dict[str, str]:
    """What a span was given, what it answered and which tools it called, as text to compare."""
    if span is None:
        return {"input": "", "output": "", "calls": ""}
    if span["kind"] == "tool":
        result = str(span["result"] or span["error"] or "")
        return {"input": str(span["parameters"] or ""), "output": result, "calls": ""}
    output = str(span["response"] or span["error"] or "")
    calls = tool_calls_text(_loaded(span.get("response_blocks")))
    return {"input": _conversation_text(span), "output": output, "calls": calls}


def merged_graph(comparison: Comparison) -> dict[str, list[dict[str, Any]]]:
    """Both execution paths as one graph.

    Returns:
        `nodes` (`id`, `kind`, `label`, `status`, `before`, `after`, `agent`) in order, and `edges`
        (`source`, `target`, `status`).
    """
    nodes = [
        {
            "id": row.id,
            "kind": row.kind,
            "label": row.name,
            "agent": row.agent_name,
            "status": row.status,
            "match": row.match,
            "before": row.before,
            "after": row.after,
        }
        for row in comparison.rows
    ]
    edges = [
        {"source": row.parent, "target": row.id, "status": row.status}
        for row in comparison.rows
        if row.parent is not None
    ]
    return {"nodes": nodes, "edges": edges}


@dataclass(slots=True)
class _Node:
    before: Span | None
    after: Span | None
    children: list[_Node] = field(default_factory=list["_Node"])

    @property
    def span(self) -> Span:
        span = self.before or self.after
        assert span is not None  # noqa: S101 - a node has at least one of them
        return span


def _rows(before: Sequence[Span], after: Sequence[Span]) -> Iterator[Row]:
    pending = [(node, 0, None) for node in reversed(_merged(before, after))]
    while pending:
        node, depth, parent = pending.pop()
        row = _row(node, depth, parent)
        yield row
        pending += [(child, depth + 1, row.id) for child in reversed(node.children)]


def _merged(before: Sequence[Span], after: Sequence[Span]) -> list[_Node]:
    """The roots of the merged tree."""
    pairs = align(before, after)
    others = {str(span["span_id"]): span for span in after}
    partner = {other: one for one, other in pairs.items()}
    nodes = {
        str(span["span_id"]): _Node(span, others.get(pairs.get(str(span["span_id"]), "")))
        for span in before
    }
    for span_id, span in others.items():
        if span_id not in partner:
            nodes[span_id] = _Node(None, span)
    roots: list[_Node] = []
    for key, node in _in_order(before, after, partner, nodes):
        parent = node.span["parent_id"]
        parent = partner.get(parent, parent) if node.before is None else parent
        holder = nodes.get(str(parent)) if parent != key else None
        (roots if holder is None else holder.children).append(node)
    return roots


def _in_order(
    before: Sequence[Span],
    after: Sequence[Span],
    partner: Mapping[str, str],
    nodes: Mapping[str, _Node],
) -> Iterator[tuple[str, _Node]]:
    """All nodes in the order of the first trace, the others after what came before them."""
    following: dict[str | None, list[str]] = {}
    last: str | None = None
    for span in after:
        span_id = str(span["span_id"])
        if span_id in partner:
            last = partner[span_id]
        else:
            following.setdefault(last, []).append(span_id)
    keys = [
        key
        for anchor in (None, *(str(span["span_id"]) for span in before))
        for key in ([] if anchor is None else [anchor]) + following.get(anchor, [])
    ]
    return ((key, nodes[key]) for key in keys)


def _row(node: _Node, depth: int, parent: str | None) -> Row:
    before, after, span = node.before, node.after, node.span
    parts: tuple[str, ...] = ()
    if before is not None and after is not None:
        parts = changed_parts(before, after)
        if not parts and any(_differs(child) for child in node.children):
            parts = ("below",)
        status: Status = "changed" if parts else "same"
    else:
        status = "only_before" if after is None else "only_after"
    numbers = (before or {}), (after or {})
    return Row(
        id=str(span["span_id"]),
        parent=parent,
        depth=depth,
        status=status,
        kind=str(span["kind"]),
        name=str(span["tool_name"] or span["name"] or span["agent_name"] or span["kind"]),
        agent_name=span["agent_name"],
        before=str(before["span_id"]) if before else None,
        after=str(after["span_id"]) if after else None,
        match=(after or {}).get("match"),
        parts=parts,
        deltas=tuple(Delta(name, numbers[0].get(name), numbers[1].get(name)) for name in _NUMBERS),
        before_text=_label(before),
        after_text=_label(after),
    )


def _differs(node: _Node) -> bool:
    if node.before is None or node.after is None:
        return True
    return bool(changed_parts(node.before, node.after)) or any(map(_differs, node.children))


def _label(span: Span | None) -> str:
    texts = span_texts(span)
    text = " ".join((texts["output"] or texts["calls"]).split())
    return text if len(text) <= _LABEL_CHARS else text[: _LABEL_CHARS - 1] + "…"


def _spent(spans: Sequence[Span]) -> float | None:
    """Cost of the calls that a provider really answered."""
    paid = [span for span in spans if span["kind"] == "llm" and not _is_free(span)]
    costs = [span["cost_usd"] for span in paid]
    return None if any(cost is None for cost in costs) else float(sum(costs))


def _is_free(span: Span) -> bool:
    if span.get("cost_note") == OFFLINE_NOTE:
        return True
    match = span.get("match")
    edited_request = '"request_edited":true' in str(span.get("attributes") or "").replace(" ", "")
    return match not in {None, "live"} and not edited_request


def _conversation_text(span: Span) -> str:
    attributes = _loaded(span.get("attributes"))
    api = attributes.get("api") if isinstance(attributes, dict) else None
    turns = conversation(api, _loaded(span.get("messages")), span.get("system"))
    lines: list[str] = []
    for turn in turns:
        for part in turn.parts:
            if part.kind == "tool_call":
                lines.append(f"[{turn.role}] {part.name} {part.arguments or ''}")
            elif part.text:
                lines.append(f"[{turn.role}] {part.text}")
    return "\n".join(lines)


def _loaded(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except ValueError:
        return value


def _delta_json(delta: Delta) -> dict[str, float | None]:
    return {"before": delta.before, "after": delta.after, "change": delta.change}
