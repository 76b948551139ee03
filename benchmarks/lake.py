"""What the lake costs and how fast it answers: `tracelake bench lake`, or this module as a program.

    python -m benchmarks.lake [writer|visible|bytes|queries …] [--spans 500k|1M|10M]

Prints figures and asserts nothing. All data are seeded; the machine's own speed is in the figures.
Each part runs in a process of its own, so that its memory is its own.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.lake_bytes import sizes
from benchmarks.lake_queries import ask, build
from benchmarks.lake_writer import visible, writer
from benchmarks.report import Report

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

PARTS = ("writer", "visible", "bytes", "queries")
_SCALES = {"k": 1_000, "m": 1_000_000}


def count(text: str) -> int:
    """A number of spans as people write it: 500000, 500k, 10M.

    Raises:
        argparse.ArgumentTypeError: It is not one.
    """
    scale = _SCALES.get(text[-1:].lower(), 1)
    try:
        number = float(text[:-1] if scale > 1 else text) * scale
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is no number: write 500k or 10M") from error
    if number < 1:
        raise argparse.ArgumentTypeError("at least one span")
    return int(number)


def parser() -> argparse.ArgumentParser:
    """The options."""
    options = argparse.ArgumentParser(prog="tracelake bench lake", description=__doc__)
    options.add_argument("parts", nargs="*", metavar="|".join(PARTS), help="default: all")
    options.add_argument("--spans", type=count, default=500_000, help="of the queries' lake")
    options.add_argument("--payload-chars", type=int, default=300, help="of a prompt in it")
    options.add_argument("--scale", type=float, default=1.0, help="of the data for bytes")
    options.add_argument("--keep", type=Path, help="build data here, or use what is there again")
    options.add_argument("--lake", help="ask this lake, only reading it, instead of building one")
    options.add_argument("--json", action="store_true", help="one JSON object a line")
    options.add_argument("--part", help=argparse.SUPPRESS)
    return options


def main(argv: Sequence[str] | None = None) -> int:
    """Run the parts asked for, all by default."""
    words = list(sys.argv[1:] if argv is None else argv)
    options = parser().parse_args(words)
    if unknown := set(options.parts) - set(PARTS):
        parser().error(f"unknown part {', '.join(sorted(unknown))}: use {', '.join(PARTS)}")
    if options.part:
        _run(options.part, options)
        return 0
    with tempfile.TemporaryDirectory() as folder:
        keep = str(options.keep or folder)
        steps = {"queries": ("ask",) if options.lake else ("build", "ask")}
        for part in options.parts or (("queries",) if options.lake else PARTS):
            for step in steps.get(part, (part,)):
                # the last --keep counts
                command = [sys.executable, "-m", "benchmarks.lake", *words, "--keep", keep]
                done = subprocess.run([*command, "--part", step], check=False)
                if done.returncode:
                    return done.returncode
    return 0


def _run(part: str, options: argparse.Namespace) -> None:
    report, root = Report(options.json), options.keep
    lake = root / f"queries-{options.spans}-{options.payload_chars}"
    runs: dict[str, Callable[[], None]] = {
        "writer": lambda: writer(report, Path(tempfile.mkdtemp(dir=root))),
        "visible": lambda: visible(report, Path(tempfile.mkdtemp(dir=root))),
        "bytes": lambda: sizes(report, Path(tempfile.mkdtemp(dir=root)), options.scale),
        "build": lambda: build(report, lake, options.spans, options.payload_chars),
        "ask": lambda: ask(report, options.lake or str(lake)),
    }
    runs[part]()


if __name__ == "__main__":
    sys.exit(main())
