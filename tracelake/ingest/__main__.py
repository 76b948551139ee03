"""`python -m tracelake.ingest`: one ingest process, started by the collector."""

from __future__ import annotations

import argparse
import importlib
import json
import logging
import os
import socket
import sys
from pathlib import Path
from urllib.parse import urlsplit

from tracelake.config import OTLP_PORT, Location
from tracelake.errors import ConfigError
from tracelake.ingest.service import Service
from tracelake.processes import stop_on_signals, tell_starter, when_parent_ends
from tracelake.relay.access import check_binding

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
    parser.add_argument("--host", default="127.0.0.1", help="address that receives OpenTelemetry")
    parser.add_argument("--otlp-port", type=int, default=OTLP_PORT, help="0 for a free one")
    parser.add_argument("--any-port", action="store_true", help="take a free one where it is used")
    options = parser.parse_args()
    listening = _listen(options)
    if isinstance(listening, str):
        tell_starter(json.dumps({"error": listening}).encode())
        return 1
    for name in _LOADED_EARLY:
        importlib.import_module(name)
    stopping = stop_on_signals()
    when_parent_ends(stopping.set)
    service = Service(
        Location(options.tables, options.hot),
        relay_port=urlsplit(options.relay).port or 80,
        otlp=listening,
    )
    ready = {"hot": str(options.hot), "pid": os.getpid(), "otlp": _address(listening)}
    if not tell_starter(json.dumps(ready).encode()):
        stopping.set()
    service.run(stopping)
    return 0


def _listen(options: argparse.Namespace) -> socket.socket | str:
    """Where OpenTelemetry is to be received, or why it cannot be."""
    try:
        check_binding(options.host, os.environ.get("TRACELAKE_TOKEN") or None)
    except ConfigError as error:
        return str(error)
    family = socket.AF_INET6 if ":" in options.host else socket.AF_INET
    why = ""
    for port in (options.otlp_port, 0) if options.any_port else (options.otlp_port,):
        try:
            return socket.create_server((options.host, port), family=family, backlog=256)
        except OSError as error:
            why = error.strerror or str(error)
    return (
        f"cannot receive OpenTelemetry on {options.host}:{options.otlp_port} ({why}): "
        "give another port with --otlp-port, 0 for a free one"
    )


def _address(listening: socket.socket) -> str:
    host, port = listening.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


if __name__ == "__main__":
    sys.exit(main())
