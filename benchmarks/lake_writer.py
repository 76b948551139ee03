"""What writing costs the traced program, and how soon a reader sees it."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

from benchmarks import lake_data
from tracelake import Lake, Tracer
from tracelake.storage.tail import Tail

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from benchmarks.report import Report

CALLS = 20_000
WRITER = """
import sys, time
from datetime import UTC, datetime
from tracelake import Lake
lake = Lake(sys.argv[1])
for number in range(int(sys.argv[2])):
    lake.append({"event_type": "tool_call", "trace_id": "t", "span_id": f"s{number}",
                 "timestamp": datetime.now(UTC), "data": {"at": time.monotonic_ns()}})
    time.sleep(0.01)
"""


def writer(report: Report, root: Path) -> None:
    """Microseconds on the calling thread for start and end of a span with a 5 KB prompt."""
    prompt = lake_data.text(random.Random(1), 5000)
    messages = [{"role": "user", "content": prompt}]
    _otel(report, prompt)
    for durable in (False, True):
        count = CALLS // 100 if durable else CALLS
        tracer = Tracer(root / f"writer-{durable}", durable=durable)
        with tracer.agent("bench"):

            def call(tracer: Tracer = tracer) -> None:
                with tracer.llm(provider="anthropic", model="m", messages=messages) as span:
                    span.finish(response="done", tokens_input=1, tokens_output=1)

            p50, p99 = _timed(call, count)
        tracer.close()
        name = "Tracer, durable" if durable else "Tracer"
        report.line(
            "writer", name, target="" if durable else "20 us", p50_us=p50, p99_us=p99,
            spans=count,
        )  # fmt: skip
    report.memory("writer")


def _otel(report: Report, prompt: str) -> None:
    try:
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import (
            BatchSpanProcessor,
            SpanExporter,
            SpanExportResult,
        )
    except ImportError:
        why = "not installed: pip install opentelemetry-sdk"
        report.line("writer", "OpenTelemetry SDK (baseline)", note=why)
        return

    class Nowhere(SpanExporter):
        def export(self, spans: Any) -> SpanExportResult:  # noqa: ARG002
            return SpanExportResult.SUCCESS

    for name, processed in (("without export", False), ("batch, null exporter", True)):
        provider = TracerProvider()
        if processed:
            provider.add_span_processor(BatchSpanProcessor(Nowhere()))
        tracer = provider.get_tracer("bench")

        def call(tracer: Any = tracer) -> None:
            with tracer.start_as_current_span("chat m") as span:
                for number in range(20):
                    span.set_attribute(f"gen_ai.attribute.{number}", number)
                span.set_attribute("gen_ai.prompt", prompt)
                span.set_attribute("gen_ai.completion", "done")

        p50, p99 = _timed(call, CALLS)
        provider.shutdown()
        report.line("writer", f"OpenTelemetry, {name} (baseline)", p50_us=p50, p99_us=p99)


def _timed(call: Callable[[], None], count: int) -> tuple[float, float]:
    times: list[float] = []
    for _ in range(count):
        began = time.perf_counter()
        call()
        times.append((time.perf_counter() - began) * 1e6)
    times.sort()
    return times[count // 2], times[count * 99 // 100]


def visible(report: Report, root: Path) -> None:
    """Milliseconds from an append in one process to its event in another that waits."""
    count = 300
    lake = Lake(root / "visible")
    lake.hot.mkdir(parents=True)

    tail: Tail[dict[str, Any]] = Tail(lake.hot)
    delays: list[float] = []
    command = [sys.executable, "-c", WRITER, lake.path, str(count)]
    with subprocess.Popen(command) as process:
        while len(delays) < count:
            tail.wait(1.0)
            now = time.monotonic_ns()
            delays += [(now - event["data"]["at"]) / 1e6 for event in tail.poll()]
            if process.poll() not in {None, 0}:
                raise RuntimeError("the writer failed, see above")
    tail.close()
    delays.sort()
    report.line(
        "visible", "append to reader", target="p95 20 ms", p50_ms=delays[count // 2],
        p95_ms=delays[count * 95 // 100], max_ms=delays[-1], events=count,
    )  # fmt: skip
