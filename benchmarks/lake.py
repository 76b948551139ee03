"""What the lake costs and how fast it answers: `python -m benchmarks.lake [writer|bytes|queries]`.

Prints figures and asserts nothing. All data are seeded; the machine's own speed is in the figures.
"""

from __future__ import annotations

import argparse
import resource
import statistics
import sys
import tempfile
import time
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks import lake_data
from tracelake import Lake, Tracer
from tracelake.query.calls import find_spans, search_text
from tracelake.query.rollups import cost_by_model
from tracelake.schema import SPANS, TRACES
from tracelake.storage.codec import encode_event
from tracelake.storage.rewrite import rewrite
from tracelake.storage.rollup import roll_up
from tracelake.storage.segment import list_segments
from tracelake.storage.table import DeltaStore

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import narwhals as nw
import polars as pl

FAR = date(2999, 1, 1)


def writer(root: Path) -> None:
    """Microseconds on the calling thread for start and end of a span with a 5 KB prompt."""
    messages = [{"role": "user", "content": lake_data.text(__import__("random").Random(1), 5000)}]
    for durable in (False, True):
        count = 200 if durable else 20_000
        tracer = Tracer(root / f"writer-{durable}", durable=durable)
        times: list[float] = []
        with tracer.agent("bench"):
            for _ in range(count):
                began = time.perf_counter()
                with tracer.llm(provider="anthropic", model="m", messages=messages) as call:
                    call.finish(response="done", tokens_input=1, tokens_output=1)
                times.append((time.perf_counter() - began) * 1e6)
        tracer.close()
        times.sort()
        name = "durable" if durable else "default"
        print(
            f"writer, {name}: p50 {times[count // 2]:.1f} us, p99 {times[count * 99 // 100]:.1f} us"
        )
    _otel(messages)


def _otel(messages: list[dict[str, str]]) -> None:
    try:
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import (
            BatchSpanProcessor,
            SpanExporter,
            SpanExportResult,
        )
    except ImportError:
        print("writer, OpenTelemetry SDK: not installed")
        return

    class Nowhere(SpanExporter):
        def export(self, spans: Any) -> SpanExportResult:  # noqa: ARG002
            return SpanExportResult.SUCCESS

    provider = TracerProvider()
    provider.add_span_processor(BatchSpanProcessor(Nowhere()))
    tracer = provider.get_tracer("bench")
    times: list[float] = []
    for _ in range(20_000):
        began = time.perf_counter()
        with tracer.start_as_current_span("chat m") as span:
            for number in range(20):
                span.set_attribute(f"gen_ai.attribute.{number}", number)
            span.set_attribute("gen_ai.prompt", messages[0]["content"])
            span.set_attribute("gen_ai.completion", "done")
        times.append((time.perf_counter() - began) * 1e6)
    provider.shutdown()
    times.sort()
    print(f"writer, OpenTelemetry batch, null exporter: p50 {times[10_000]:.1f} us")


def sizes(root: Path, scale: float) -> None:
    """Bytes of the same events as JSONL and as the compacted table `spans`."""
    cases: dict[str, Iterator[dict[str, Any]]] = {
        "30-turn conversations": lake_data.conversations(int(120 * scale), 30),
        "ordinary mix": lake_data.mix(int(300 * scale)),
    }
    for name, events in cases.items():
        lake = Lake(root / name.replace(" ", "-"))
        sealer, raw, unsealed = lake.sealer(), 0, 0
        sealing = 0.0
        seals = 0
        for event in events:
            lake.append(event)
            written = len(encode_event(event))
            raw, unsealed = raw + written, unsealed + written
            if unsealed > 32 << 20:
                sealing, seals, unsealed = sealing + sealer.seal().seconds, seals + 1, 0
        sealing += sealer.seal().seconds
        sealed = _bytes(lake)
        report = lake.compact(today=FAR)
        spans = lake.spans().select("span_id").collect().height
        compacted = _bytes(lake)
        print(
            f"bytes, {name}: {spans:,} spans, JSONL {raw / 1e6:.1f} MB ({raw // spans:,} a span), "
            f"as sealed {sealed / 1e6:.2f} MB (1/{raw / sealed:.1f}), compacted "
            f"{compacted / 1e6:.2f} MB (1/{raw / compacted:.1f}); {seals + 1} seals "
            f"{raw / 1e6 / sealing:.0f} MB/s, compaction {report.seconds:.1f} s"
        )
        lake.close()
        for path in list_segments(lake.hot).values():
            path.unlink()


def _bytes(lake: Lake) -> int:
    return sum(Path(uri).stat().st_size for uri in lake.files())


def queries(root: Path, spans: int, payload_chars: int) -> None:
    """Median milliseconds of the questions of DESIGN 10, on days of spans with small payloads."""
    days = 30
    lake = Lake(root / "queries")
    stores = [DeltaStore(lake.path, table) for table in (SPANS, TRACES)]
    if not lake.files():
        began = time.perf_counter()
        for frame in lake_data.small_spans(days, spans // days, payload_chars):
            rewrite(stores[0], stores[0].snapshot(), [], [frame], {})
            rewrite(stores[1], stores[1].snapshot(), [], [roll_up(frame)], {})
        print(f"queries: {spans:,} spans built in {time.perf_counter() - began:.0f} s")
    print(f"queries: {_bytes(lake) / 1e6:.0f} MB in {len(lake.files())} files")
    until = lake_data.T0 + timedelta(days=days)
    day = until - timedelta(days=1)
    middle = lake_data.T0 + timedelta(days=days // 2)
    trace_id = lake.traces().filter(pl.col("start_time") >= middle).first().collect()["trace_id"][0]

    def scan() -> nw.LazyFrame[Any]:
        return lake.scan("spans")

    questions: dict[str, Callable[[], Any]] = {
        "latest 50 traces": lambda: lake.latest_traces(50),
        "agent and error in a day": lambda: find_spans(
            scan(), since=day, agent_name="coder", status="error"
        ).collect(),
        "open one trace": lambda: lake.trace(trace_id),
        "text in prompts, 2 days": lambda: search_text(
            scan(), "def __init__", since=until - timedelta(days=2), columns=("messages",)
        ).select("trace_id", "span_id").collect(),
        "cost by model and day": lambda: cost_by_model(scan()).collect(),
        "all traces, sorted by cost": lambda: lake.traces()
        .select("trace_id", "cost_usd").top_k(50, by="cost_usd").collect(),
    }  # fmt: skip
    for name, ask in questions.items():
        times: list[float] = []
        busy: list[float] = []
        for _ in range(9):
            began, used = time.perf_counter(), time.process_time()
            answer = ask()
            times.append((time.perf_counter() - began) * 1e3)
            busy.append((time.process_time() - used) * 1e3)
        print(
            f"queries, {name}: median {statistics.median(times[1:]):.1f} ms (fastest "
            f"{min(times):.1f}, first {times[0]:.1f}, CPU {statistics.median(busy[1:]):.1f}), "
            f"{len(answer)} rows"
        )
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"queries: peak memory of this process {peak:.0f} MB (building the data included)")


def main() -> int:
    """Run the parts asked for, all by default."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="*", default=[], metavar="writer|bytes|queries")
    parser.add_argument("--spans", type=int, default=500_000)
    parser.add_argument("--payload-chars", type=int, default=300)
    parser.add_argument("--scale", type=float, default=1.0, help="of the data for bytes")
    parser.add_argument("--keep", type=Path, help="build the query data here, or use it again")
    options = parser.parse_args()
    parts = options.parts or ["writer", "bytes", "queries"]
    with tempfile.TemporaryDirectory() as folder:
        root = options.keep or Path(folder)
        if "writer" in parts:
            writer(root)
        if "bytes" in parts:
            sizes(root, options.scale)
        if "queries" in parts:
            queries(root, options.spans, options.payload_chars)
    return 0


if __name__ == "__main__":
    sys.exit(main())
