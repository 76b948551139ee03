"""How many OpenTelemetry spans a second one core takes in: decoded, mapped, placed and appended.

    python benchmarks/otlp.py FOLDER

The folder holds bodies of `/v1/traces` in protobuf, `*_traces.bin`, at any depth. Prints
microseconds of processor time a span and step, the best of several rounds.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

from tracelake import Lake
from tracelake.otlp import Assembly, decode, events_of

ROUNDS = 5


def measure(bodies: list[bytes]) -> tuple[int, dict[str, float]]:
    """Spans, and seconds of processor time by step, of one pass over all bodies."""
    steps = dict.fromkeys(("decode", "map", "place", "append"), 0.0)
    spans = 0
    assembly = Assembly()
    with tempfile.TemporaryDirectory() as folder, Lake(folder) as lake:
        for body in bodies:
            marks = [time.process_time()]
            batch = decode(body, "application/x-protobuf")
            marks.append(time.process_time())
            events = events_of(batch.spans)
            marks.append(time.process_time())
            events = assembly.add(events, now_s=0.0)
            marks.append(time.process_time())
            for event in events:
                lake.append(event)
            marks.append(time.process_time())
            spans += len(batch.spans)
            for step, start, end in zip(steps, marks, marks[1:], strict=False):
                steps[step] += end - start
    return spans, steps


def main() -> None:
    """Measure and print."""
    bodies = [path.read_bytes() for path in sorted(Path(sys.argv[1]).rglob("*_traces.bin"))]
    rounds = [measure(bodies) for _ in range(ROUNDS)]
    spans = rounds[0][0]
    best = {step: min(found[step] for _, found in rounds) / spans for step in rounds[0][1]}
    for step, seconds in best.items():
        print(f"{step:8} {seconds * 1e6:7.1f} us a span")
    print(f"{1 / sum(best.values()):,.0f} spans/s, {sum(map(len, bodies)) / spans:,.0f} bytes each")


if __name__ == "__main__":
    main()
