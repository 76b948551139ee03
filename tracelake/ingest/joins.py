"""What the relay saw of programs that send OpenTelemetry too, by their `traceparent` header.

A program with OpenTelemetry may send `traceparent: 00-<trace>-<span>-01` with a provider call: the
id of its own trace, and of the span that sends the call. By it the spans go into the relay's trace,
and a span of the same call is known as such.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Final

from tracelake.infer.scope import trace_parent

if TYPE_CHECKING:
    from tracelake.infer import Inference
    from tracelake.model import Exchange

_KEPT_MAX: Final = 50_000


class RelayCalls:
    """Calls of the relay by the OpenTelemetry span that sent them; `otlp.Recorded`.

    One thread notes, another one asks: each step is a single look-up.
    """

    def __init__(self, inference: Inference) -> None:
        self._inference = inference
        self._calls: OrderedDict[tuple[str, str], str] = OrderedDict()
        self._traces: OrderedDict[str, str] = OrderedDict()

    def note(self, exchange: Exchange) -> None:
        """Remember an exchange that was told to the inference."""
        parent = trace_parent(exchange)
        trace_id = self._inference.trace_of(exchange.span_id)
        if parent is None or trace_id is None:
            return
        self._calls[parent] = exchange.span_id
        self._traces[parent[0]] = trace_id
        for kept in (self._calls, self._traces):
            if len(kept) > _KEPT_MAX:
                kept.popitem(last=False)

    def trace_of(self, otlp_trace_id: str) -> str | None:
        """The trace that holds the relay's calls of an OpenTelemetry trace."""
        return self._traces.get(otlp_trace_id)

    def root_of(self, trace_id: str) -> str | None:
        """The root span of a trace that the relay made."""
        return self._inference.root_of(trace_id)

    def call_of(self, otlp_trace_id: str, span_id: str) -> str | None:
        """The relay's span of the call that a span of OpenTelemetry sent."""
        return self._calls.get((otlp_trace_id, span_id))
