"""`python -m tracelake.relay`: one relay process.

Prints one JSON line `{"address": "http://…", "pid": …}` once it serves, or `{"error": …}` where it
cannot; logs to standard error.
SIGTERM lets calls in flight end and writes every record.
"""

from __future__ import annotations

import argparse
import errno
import json
import logging
import os
import signal
import sys
from pathlib import Path

import uvloop

from tracelake.config import ANTHROPIC_BACKEND, OPENAI_BACKEND, RELAY_PORT
from tracelake.errors import ConfigError
from tracelake.processes import tell_starter, when_parent_ends
from tracelake.redaction import VARIABLE, parse_patterns
from tracelake.relay.access import Access
from tracelake.relay.redact import Redaction
from tracelake.relay.routing import Backend, parse_backend
from tracelake.relay.server import DRAIN_S, Relay, announcement, serve

_log = logging.getLogger("tracelake.relay")


def parse_arguments(argv: list[str] | None = None) -> argparse.Namespace:
    """The options of the relay process."""
    parser = argparse.ArgumentParser(prog="python -m tracelake.relay", description=__doc__)
    parser.add_argument("--hot", type=Path, required=True, help="hot folder of the lake")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=RELAY_PORT, help="0 for a free one")
    parser.add_argument("--anthropic-backend", default=ANTHROPIC_BACKEND, metavar="URL")
    parser.add_argument("--openai-backend", default=OPENAI_BACKEND, metavar="URL")
    parser.add_argument("--upstream", action="append", default=[], metavar="NAME=URL")
    parser.add_argument("--control-secret", metavar="SECRET", help="opens /control/ to its owner")
    parser.add_argument(
        "--with-parent", action="store_true", help="stop when the process that started it is gone"
    )
    parser.add_argument("--drain-s", type=float, default=DRAIN_S, help="grace after SIGTERM")
    return parser.parse_args(argv)


def backends(arguments: argparse.Namespace) -> list[Backend]:
    """The configured upstreams.

    Raises:
        ConfigError: One of them is not usable.
    """
    found = [
        parse_backend("anthropic", arguments.anthropic_backend),
        parse_backend("openai", arguments.openai_backend),
    ]
    for option in arguments.upstream:
        name, equals, url = option.partition("=")
        if not equals:
            raise ConfigError(f"--upstream {option!r} must look like NAME=URL")
        found.append(parse_backend(name, url))
    return found


def main(argv: list[str] | None = None) -> int:
    """Run the relay; the exit code."""
    arguments = parse_arguments(argv)
    logging.basicConfig(
        stream=sys.stderr,
        level=logging.INFO,
        format="%(asctime)s %(levelname)s relay: %(message)s",
    )
    if arguments.with_parent:
        when_parent_ends(lambda: os.kill(os.getpid(), signal.SIGTERM))
    try:
        secret = arguments.control_secret or os.environ.get("TRACELAKE_CONTROL_SECRET")
        relay = Relay(
            arguments.hot,
            backends(arguments),
            access=Access(os.environ.get("TRACELAKE_TOKEN") or None, secret or None),
            redaction=Redaction(parse_patterns(os.environ.get(VARIABLE))),
        )
        uvloop.run(
            serve(
                relay,
                arguments.host,
                arguments.port,
                announce=_announce,
                drain_s=arguments.drain_s,
            )
        )
    except ConfigError as error:
        return _fail(str(error), 2)
    except OSError as error:
        why = "is the port in use?" if error.errno == errno.EADDRINUSE else error
        return _fail(f"the relay could not listen on {arguments.host}:{arguments.port}: {why}", 1)
    return 0


def _fail(why: str, code: int) -> int:
    _log.error("%s", why)
    tell_starter(json.dumps({"error": why}).encode())
    return code


def _announce(address: str) -> None:
    if not tell_starter(announcement(address, os.getpid())):
        os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    sys.exit(main())
