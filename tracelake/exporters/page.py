"""Traces as one HTML page that opens in any browser, with nothing else at hand.

Each trace is a tree of spans that fold; a call shows what was new in it, not what it sent again.

Invariants:
- Text of a trace is text: it is escaped everywhere, and the page forbids scripts and requests.
- The page is written piece by piece; one trace stands in memory at a time, besides the spans.
"""

from __future__ import annotations

import json
from html import escape
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final

from tracelake import wire

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import polars as pl

    from tracelake.wire import Part, Turn

#: More would be a page that no browser scrolls.
TRACES_MAX: Final = 200
_HEAD: Final = """<!doctype html>
<html lang="en"><head><meta charset="utf-8">
<meta http-equiv="Content-Security-Policy"
 content="default-src 'none'; style-src 'unsafe-inline'; img-src data:">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Trace Lake</title><style>{style}</style></head><body>
"""
_IMAGES: Final = frozenset({"image/png", "image/jpeg", "image/gif", "image/webp"})


def write_page(spans: pl.DataFrame, file: IO[str]) -> None:
    """Write the page.

    Args:
        spans: Columns of `schema.SPANS`, sorted by trace and start.
        file: Open for writing.
    """
    style = Path(__file__).with_name("page.css").read_text(encoding="utf-8")
    file.write(_HEAD.replace("{style}", style))
    for trace in spans.partition_by("trace_id", maintain_order=True):
        for piece in _trace(trace.rows(named=True)):
            file.write(piece)
    file.write("</body></html>\n")


def _trace(spans: Sequence[dict[str, Any]]) -> Iterator[str]:
    known = {span["span_id"] for span in spans}
    children: dict[str | None, list[dict[str, Any]]] = {}
    for span in spans:
        parent = span["parent_id"] if span["parent_id"] in known else None
        children.setdefault(parent, []).append(span)
    top = children.get(None) or list(spans[:1])
    yield from _title(top[0], spans)
    begin, end = spans[0]["start_time"], max(s["end_time"] or s["start_time"] for s in spans)
    length_s = max((end - begin).total_seconds(), 1e-6)
    earlier: dict[str | None, list[Any]] = {}
    seen: set[str] = set()
    open_: list[Iterator[dict[str, Any]]] = [iter(top)]
    while open_:  # not by recursion: a chain of spans may be long
        span = next(open_[-1], None)
        if span is None:
            open_.pop()
            yield "</details>" if open_ else "</section>"
        elif span["span_id"] not in seen:
            seen.add(span["span_id"])
            at = (span["start_time"] - begin).total_seconds() / length_s
            part = (span["duration_ms"] or 0) / 1000 / length_s
            yield from _span(span, (at, part), earlier)
            open_.append(iter(children.get(span["span_id"], ())))


def _title(root: Mapping[str, Any], spans: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    counted = [s for s in spans if not s["auxiliary"] and not s["duplicate_of"]]
    costs = [s["cost_usd"] for s in counted if s["cost_usd"] is not None]
    facts = {
        "Started (UTC)": f"{root['start_time']:%Y-%m-%d %H:%M:%S}",
        "Duration": _duration(root["duration_ms"]),
        "LLM calls": sum(s["kind"] == "llm" for s in counted),
        "Tool calls": sum(s["kind"] == "tool" for s in counted),
        "Errors": sum(s["status"] == "error" for s in counted),
        "Tokens in": f"{sum(s['tokens_input'] or 0 for s in counted if s['kind'] == 'llm'):,}",
        "Tokens out": f"{sum(s['tokens_output'] or 0 for s in counted if s['kind'] == 'llm'):,}",
        "Cost": f"${sum(costs):.4g}" if costs else "unknown",
    }
    name = escape(str(root["name"] or root["agent_name"] or "trace"))
    yield f"<section><h1>{name} <small>{escape(root['trace_id'])}</small></h1><dl>"
    yield from (f"<div><dt>{key}</dt><dd>{value}</dd></div>" for key, value in facts.items())
    yield "</dl>"


def _span(
    span: Mapping[str, Any], place: tuple[float, float], earlier: dict[str | None, list[Any]]
) -> Iterator[str]:
    kind = span["kind"] or "other"
    look = "orchestrator" if span["role"] == "orchestrator" else kind
    look = look if look in {"orchestrator", "agent", "llm", "tool"} else "other"
    named = span["model"] if kind == "llm" else span["tool_name"] if kind == "tool" else None
    failed = span["status"] in {"error", "lost"}
    yield f"<details{' open' if kind == 'agent' or failed else ''}><summary>"
    yield f'<span class="kind {look}">{escape(kind)}</span>'
    yield f"{escape(str(named or span['name'] or span['agent_name'] or 'span'))}"
    yield f'<span class="facts">{escape(_facts(span))}</span>'
    if span["status"] != "ok":
        yield f' <span class="{"bad" if failed else "facts"}">{escape(span["status"])}</span>'
    at, part = (min(max(share, 0.0), 1.0) for share in place)
    yield f'<span class="track"><i style="margin-left:{at:.2%};width:{part:.2%}"></i></span>'
    yield "</summary>"
    if span["error"]:
        yield f'<h2 class="bad">{escape(span["error_type"] or "error")}</h2>{_pre(span["error"])}'
    if kind == "llm":
        yield from _call(span, earlier)
    for column in ("parameters", "result"):
        if span[column] is not None:
            yield f"<h2>{column}</h2>{_pre(_pretty(span[column]))}"


def _facts(span: Mapping[str, Any]) -> str:
    facts = [span["agent_name"] if span["kind"] == "llm" else None, _duration(span["duration_ms"])]
    if span["tokens_input"] is not None or span["tokens_output"] is not None:
        facts.append(f"{span['tokens_input'] or 0:,} → {span['tokens_output'] or 0:,} tokens")
    if span["cost_usd"] is not None:
        facts.append(f"${span['cost_usd']:.4g}")
    return " · ".join(fact for fact in facts if fact)


def _call(span: Mapping[str, Any], earlier: dict[str | None, list[Any]]) -> Iterator[str]:
    api = (_parsed(span["attributes"]) or {}).get("api")
    messages = _parsed(span["messages"])
    sent = messages if isinstance(messages, list) else []
    before = earlier.get(span["agent_name"], [])
    resent = next((n for n, one in enumerate(sent) if before[n : n + 1] != [one]), len(sent))
    earlier[span["agent_name"]] = sent
    if resent:
        yield f"<h2>{resent} message{'s' * (resent > 1)} as in the call before</h2>"
    for turn in wire.conversation(api, messages, None if resent else span["system"]):
        if turn.index is None or turn.index >= resent:
            yield from _turn(turn.role, turn)
    blocks = _parsed(span["response_blocks"])
    if isinstance(blocks, list) and blocks:
        yield from _turn("answer", wire.response_turn(api or "chat", blocks))
    elif span["response"]:
        yield f"<h2>answer</h2>{_pre(span['response'])}"


def _turn(title: str, turn: Turn) -> Iterator[str]:
    yield f"<h2>{escape(title)}</h2>"
    yield from (_part(part) for part in turn.parts)


def _part(part: Part) -> str:
    if part.data and part.media_type in _IMAGES:
        return f'<img alt="image" src="data:{part.media_type};base64,{escape(part.data)}">'
    said = part.text or part.url or ""
    if part.arguments is not None:
        said = f"{part.name or 'tool'} {_pretty(part.arguments)}"
    elif not said and part.json is not None:
        said = json.dumps(part.json, indent=2, ensure_ascii=False)
    return _pre(said if part.kind == "text" else f"[{part.kind.replace('_', ' ')}] {said}")


def _pre(text: str) -> str:
    return f"<pre>{escape(text)}</pre>"


def _duration(ms: float | None) -> str:
    if ms is None:
        return ""
    return f"{ms:.0f} ms" if ms < 1000 else f"{ms / 1000:.1f} s"


def _parsed(text: str | None) -> Any:
    try:
        return json.loads(text) if text is not None else None
    except ValueError:
        return text


def _pretty(text: str) -> str:
    value = _parsed(text)
    return value if isinstance(value, str) else json.dumps(value, indent=2, ensure_ascii=False)
