"""Captured runs of real client programs, fed to the inference and folded into spans."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tracelake.infer import Inference
from tracelake.model import Exchange, derived_id, from_iso
from tracelake.storage.fold import fold_events
from tracelake.wire import read_request, read_response

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

REPOSITORY = Path(__file__).parents[2]
CORPUS = Path(os.environ.get("TRACELAKE_CORPUS", REPOSITORY.parent / "shared" / "corpus"))
CAPTURES = CORPUS / "captures"


def client_of(pid: int, command: tuple[str, ...] = ("python", "program.py")) -> dict[str, Any]:
    """The client of a program run, as ingest finds it on loopback."""
    return {
        "host": "127.0.0.1",
        "pid": pid,
        "ppid": 1,
        "started": 1000 + pid,
        "command": list(command),
        "cwd": "/work",
    }


def read_capture(path: Path, client: dict[str, Any] | None = None) -> list[Exchange]:
    """The exchanges of a capture, in order of start.

    Args:
        path: The capture, one exchange a line, bodies decoded.
        client: The client program; None leaves the process unknown.
    """
    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    exchanges = [_exchange(path.stem, line, client or {}) for line in lines]
    return sorted(exchanges, key=lambda exchange: exchange.start_time)


def _exchange(name: str, line: dict[str, Any], client: dict[str, Any]) -> Exchange:
    body = line["req_body"]
    answer = line.get("resp_sse") or line.get("resp_body") or ""
    first = line.get("t_first")
    return Exchange(
        span_id=derived_id(name, line["n"]),
        start_time=datetime.fromtimestamp(line["t_start"], UTC),
        first_byte_time=datetime.fromtimestamp(first, UTC) if first else None,
        end_time=datetime.fromtimestamp(line["t_end"], UTC),
        method=line["method"],
        path=line["path"],
        upstream="anthropic" if "/messages" in line["path"] else "openai",
        request_headers=tuple((k, v) for k, v in line["req_headers"]),
        request_body=b"" if body is None else json.dumps(body).encode(),
        status=line["status"],
        response_headers=tuple(
            (k, v) for k, v in line.get("resp_headers", ()) if k.lower() != "content-encoding"
        ),
        response_body=(answer if isinstance(answer, str) else json.dumps(answer)).encode(),
        outcome="ok",
        client=client,
    )


def without_headers(exchange: Exchange) -> Exchange:
    """An exchange that only its bodies tell about."""
    kept = tuple((k, v) for k, v in exchange.request_headers if k.lower() == "content-type")
    return replace(exchange, request_headers=kept, client={})


def shifted(
    exchanges: Iterable[Exchange], run: str, by: timedelta, **changes: Any
) -> list[Exchange]:
    """The same run again, later, by another program."""
    return [
        replace(
            exchange,
            span_id=derived_id(exchange.span_id, run),
            start_time=exchange.start_time + by,
            end_time=exchange.end_time + by if exchange.end_time else None,
            first_byte_time=exchange.first_byte_time + by if exchange.first_byte_time else None,
            **changes,
        )
        for exchange in exchanges
    ]


@dataclass(frozen=True, slots=True)
class Moment:
    """A call opens or ends."""

    at: datetime
    is_opening: bool
    exchange: Exchange


def moments(exchanges: Iterable[Exchange]) -> list[Moment]:
    """The openings and ends of exchanges in the order in which a relay sees them."""
    found: list[Moment] = []
    for exchange in exchanges:
        found.append(Moment(exchange.start_time, True, exchange))
        if exchange.end_time is not None:
            found.append(Moment(exchange.end_time, False, exchange))
    return sorted(found, key=lambda m: (m.at, m.is_opening, m.exchange.span_id))


def running(exchange: Exchange) -> Exchange:
    """An exchange as it stands while its call is in flight."""
    return replace(
        exchange,
        end_time=None,
        first_byte_time=None,
        status=None,
        response_headers=(),
        response_body=b"",
        outcome="running",
    )


def feed(inference: Inference, exchanges: Iterable[Exchange]) -> Iterator[list[dict[str, Any]]]:
    """Give exchanges to an inference as they happened; the events of each step."""
    for moment in moments(exchanges):
        if moment.is_opening:
            begun = running(moment.exchange)
            yield inference.opened(begun, read_request(begun))
        else:
            request = read_request(moment.exchange)
            response = read_response(moment.exchange, request) if request is not None else None
            yield inference.ended(moment.exchange, request, response)


def decoded(events: Iterable[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Events as readers of segments see them: through JSON, timestamps as datetimes."""
    for place, event in enumerate(json.loads(json.dumps(list(events)))):
        event["timestamp"] = from_iso(event["timestamp"])
        event["_at"] = ("segment", place)
        yield event


def fold(events: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Spans of events, in order of start."""
    spans = fold_events(decoded(events)).values()
    return sorted(spans, key=lambda s: (s["trace_id"], s["start_time"], s["span_id"]))


def infer(
    exchanges: list[Exchange], end: Callable[[Inference], list[dict[str, Any]]] | None = None
) -> list[dict[str, Any]]:
    """Spans of exchanges fed in order of time; `end` may end the program at last."""
    inference = Inference()
    events = [event for step in feed(inference, exchanges) for event in step]
    if end is not None:
        events += end(inference)
    return fold(events)


def show_tree(spans: list[dict[str, Any]]) -> str:
    """The spans as an indented text, for a failing test's reader."""
    children: dict[Any, list[dict[str, Any]]] = {}
    for span in spans:
        children.setdefault((span["trace_id"], span["parent_id"]), []).append(span)
    lines: list[str] = []

    def walk(span: dict[str, Any], depth: int) -> None:
        note = f"{span['evidence_source']} {span['confidence']}"
        lines.append(
            f"{'  ' * depth}{span['kind']} {span['name']} [{span['status']}]"
            f" {span['role'] or ''} ({note}) {(span['result'] or span['response'] or '')[:50]!r}"
        )
        for child in children.get((span["trace_id"], span["span_id"]), ()):
            walk(child, depth + 1)

    for trace_id in dict.fromkeys(span["trace_id"] for span in spans):
        lines.append(f"trace {trace_id}")
        for root in children.get((trace_id, None), ()):
            walk(root, 1)
    return "\n".join(lines)
