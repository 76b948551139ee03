"""`python -m tracelake.ingest`: one ingest process, started by the collector."""

from __future__ import annotations

import argparse
import importlib
import json
import logging
import os
import sys
from pathlib import Path
from urllib.parse import urlsplit

from tracelake.config import Location
from tracelake.ingest.service import Service
from tracelake.processes import stop_on_signals, when_parent_ends

#: Slow to load, and loaded before we say that we serve: the first calls would wait for them, and
#: whose a call is cannot be told once its program has ended.
_LOADED_EARLY = ("genai_prices", "polars")


def main() -> int:
    """Run until SIGTERM, or until the process that started us is gone."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(message)s")
    parser = argparse.ArgumentParser(prog="python -m tracelake.ingest")
    parser.add_argument("--tables", required=True)
    parser.add_argument("--hot", required=True, type=Path)
    parser.add_argument("--relay", required=True, help="address of the relay")
    options = parser.parse_args()
    for name in _LOADED_EARLY:
        importlib.import_module(name)
    stopping = stop_on_signals()
    when_parent_ends(stopping.set)
    service = Service(
        Location(options.tables, options.hot), relay_port=urlsplit(options.relay).port or 80
    )
    sys.stdout.write(json.dumps({"hot": str(options.hot), "pid": os.getpid()}) + "\n")
    sys.stdout.flush()
    service.run(stopping)
    return 0


if __name__ == "__main__":
    sys.exit(main())
