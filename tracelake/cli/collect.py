"""`collect` (also `proxy start`): the collector in the foreground."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tracelake.cli import ui
from tracelake.cli.options import add_command, note, port, print_json
from tracelake.config import ANTHROPIC_BACKEND, OPENAI_BACKEND, OTLP_PORT, RELAY_PORT, locate
from tracelake.errors import LakeError
from tracelake.ingest import collector
from tracelake.ingest.settings import parse_upstreams
from tracelake.processes import stop_on_signals

if TYPE_CHECKING:
    import argparse

    from tracelake.cli.options import Commands


def register(commands: Commands) -> None:
    """Add the commands of this module."""
    collect = add_command(
        commands, "collect", _collect, help="record what agent programs send, without the app"
    )
    add_collector_options(collect)
    proxy = commands.add_parser(
        "proxy", help="`proxy start` is `collect`, `proxy dashboard` is `ui`"
    )
    actions = proxy.add_subparsers(dest="action", metavar="ACTION", required=True)
    start = add_command(actions, "start", _collect, help="the same as `collect`")
    add_collector_options(start)
    ui.add_ui_command(actions, "dashboard", help="the same as `ui`")


def add_collector_options(parser: argparse.ArgumentParser) -> None:
    """The options of everything that may start a collector."""
    parser.add_argument("--host", default="127.0.0.1", help="address to bind (default: loopback)")
    parser.add_argument(
        "--port",
        type=port,
        help=f"port of the relay (default: the lake's setting, {RELAY_PORT})",
    )
    parser.add_argument(
        "--otlp-port",
        type=port,
        metavar="PORT",
        help=f"port that receives OpenTelemetry (default: {OTLP_PORT}, a free one if it is in use)",
    )
    parser.add_argument(
        "--anthropic-backend",
        metavar="URL",
        help=f"base URL as the SDK takes it (default: the lake's setting, {ANTHROPIC_BACKEND})",
    )
    parser.add_argument(
        "--openai-backend",
        metavar="URL",
        help=f"base URL as the SDK takes it (default: the lake's setting, {OPENAI_BACKEND})",
    )
    parser.add_argument(
        "--upstream",
        metavar="NAME=URL",
        action="append",
        default=[],
        help="a further provider, reached under /u/NAME/ (may be repeated)",
    )


def collector_options(arguments: argparse.Namespace) -> collector.Options:
    """What the command line says of the collector.

    Raises:
        ConfigError: An upstream is not written as NAME=URL, or not usable.
    """
    return collector.Options(
        host=arguments.host,
        port=arguments.port,
        otlp_port=arguments.otlp_port,
        anthropic_backend=arguments.anthropic_backend,
        openai_backend=arguments.openai_backend,
        upstreams=parse_upstreams("\n".join(arguments.upstream)),
    )


def _collect(arguments: argparse.Namespace) -> int:
    location = locate(arguments.lake)
    if running := collector.find_running(location):
        raise LakeError(
            f"a collector (pid {running.state.pid}) already serves this lake "
            f"at {running.state.relay}"
        )
    started = collector.start(location, collector_options(arguments))
    stopping = stop_on_signals()
    try:
        _announce(arguments, started, location.tables)
        while not stopping.wait(0.5):
            if not started.is_alive:
                raise LakeError("the collector ended unexpectedly: its log above says why")
    finally:
        started.stop()
    return 0


def _announce(arguments: argparse.Namespace, started: collector.Collector, lake: str) -> None:
    if arguments.json:
        print_json({**started.addresses, "pid": started.state.pid, "lake": lake})
        return
    urls = started.addresses
    print(f"recording into {lake}")
    print(f"  export ANTHROPIC_BASE_URL={urls['anthropic_base_url']}")
    print(f"  export OPENAI_BASE_URL={urls['openai_base_url']}")
    print(f"  export OTEL_EXPORTER_OTLP_ENDPOINT={urls['otlp']}")
    note("press Ctrl+C to stop")
