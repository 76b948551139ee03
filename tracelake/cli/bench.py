"""`bench`: the benchmarks of the repository, from a checkout or from an installed wheel."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from tracelake.cli.options import note, print_json
from tracelake.config import locate
from tracelake.errors import ConfigError, LakeError

if TYPE_CHECKING:
    import argparse

    from tracelake.cli.options import Commands

#: Benchmark to its module and what it measures.
BENCHMARKS = {
    "lake": ("benchmarks.lake", "writing, bytes, sealing, queries, memory"),
    "relay": ("benchmarks.relay", "latency and CPU that the relay adds"),
    "infer": ("benchmarks.infer_calls", "calls a second that the inference takes"),
}
#: What a benchmark needs beside an installed Trace Lake.
_NEEDS = {"relay": "psutil"}


def register(commands: Commands) -> None:
    """Add the command of this module."""
    what = "; ".join(f"{name}: {does}" for name, (_, does) in BENCHMARKS.items())
    bench = commands.add_parser(
        "bench",
        help="print benchmarks of the lake, the relay and the inference",
        description=f"Prints figures and asserts nothing. {what}.",
    )
    bench.add_argument("which", nargs="?", metavar="|".join(BENCHMARKS), help="default: all")
    bench.add_argument(
        "options", nargs="*", help="parts of `lake`: writer, visible, bytes, queries"
    )
    bench.add_argument("--spans", metavar="N", help="size of the lake that is asked: 500k, 1M, 10M")
    bench.add_argument("--keep", metavar="DIR", help="build the lake's data here, or use it again")
    bench.add_argument("--lake", metavar="DIR", help="ask this lake, only reading it, and no other")
    bench.add_argument("--json", action="store_true", help="one JSON object a line")
    bench.set_defaults(handler=_bench)


def find_benchmarks() -> Path:
    """The folder that holds the package `benchmarks`: of the checkout, else of the wheel.

    Raises:
        LakeError: Neither is there.
    """
    package = Path(__file__).resolve().parents[1]
    for folder in (package / "_bench", package.parent):
        if (folder / "benchmarks" / "lake.py").is_file():
            return folder
    raise LakeError("the benchmarks are not installed: reinstall tracelake")


def _bench(arguments: argparse.Namespace) -> int:
    if arguments.which is not None and arguments.which not in BENCHMARKS:
        known = ", ".join(BENCHMARKS)
        raise ConfigError(f"no benchmark {arguments.which!r}: use {known}, or none for all")
    code = 0
    everything = ["lake"] if arguments.lake else [*BENCHMARKS]
    for name in [arguments.which] if arguments.which else everything:
        code = _run(name, arguments) or code
    return code


def _run(name: str, arguments: argparse.Namespace) -> int:
    if (needed := _NEEDS.get(name)) and find_spec(needed) is None:
        note(f"{name}: left out, it needs {needed}: pip install {needed}")
        return 1
    words: list[str] = []
    if name == "lake":
        words += arguments.options
        words += ["--spans", arguments.spans] if arguments.spans else []
        words += ["--keep", arguments.keep] if arguments.keep else []
        words += ["--lake", locate(arguments.lake).tables] if arguments.lake else []
        words += ["--json"] if arguments.json else []
    folder = str(find_benchmarks())
    paths = [folder, *filter(None, [os.environ.get("PYTHONPATH")])]
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
    command = [sys.executable, "-m", BENCHMARKS[name][0], *words]
    if name == "lake" or not arguments.json:
        return subprocess.run(command, env=environ, check=False).returncode
    done = subprocess.run(command, env=environ, stdout=subprocess.PIPE, text=True, check=False)
    for line in filter(None, done.stdout.splitlines()):
        print_json({"part": name, "text": line})
    return done.returncode
