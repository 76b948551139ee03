"""OpenTelemetry in files: what the collector's file exporter and SDKs' file exporters write.

One request as JSON, or one a line: `resourceSpans` or `resourceLogs`. The spans of a file are put
into trees as those that arrive over HTTP are.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson

from tracelake import otlp
from tracelake.errors import ImportFailed
from tracelake.importers.lines import read_objects
from tracelake.otlp.assembly import ORPHAN_AFTER_S

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import datetime
    from pathlib import Path

_FIELDS = frozenset({"resourceSpans", "resource_spans", "resourceLogs", "resource_logs"})


def recognises(first: Mapping[str, Any]) -> bool:
    """Whether the first object of a file is a request of OTLP."""
    return bool(_FIELDS & first.keys())


def read(paths: Sequence[Path], _now: datetime) -> Iterator[tuple[str, dict[str, Any]]]:
    """The events of the spans, request by request, and at the end where those belong that wait.

    Raises:
        ImportFailed: A line is no request of OTLP.
        OSError: The file cannot be read.
    """
    (path,) = paths
    assembly = otlp.Assembly()
    records: list[otlp.LogRecord] = []
    for where, request in read_objects(path):
        try:
            body = orjson.dumps(request)
            spans = otlp.decode(body, "application/json").spans
            records += otlp.decode_logs(body, "application/json")
            events = otlp.events_of(spans)
        except (otlp.OtlpRefused, ValueError) as error:
            raise ImportFailed(f"{path}: {where}: {error}") from error
        for event in assembly.add(events, now_s=0.0):
            yield where, event
    calls = otlp.call_spans(records, is_recorded=lambda _session: False)
    for event in assembly.add(otlp.events_of(calls), now_s=0.0):
        yield "the logs", event
    for event in otlp.message_events(records, place=assembly.place):
        yield "the logs", event
    for event in assembly.settle(now_s=ORPHAN_AFTER_S):
        yield "the end", event
