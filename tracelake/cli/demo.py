"""`demo`: a multi-agent program recorded while it runs, with no key and no network."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
from typing import TYPE_CHECKING

from tracelake.cli.options import add_command, note, open_lake, print_json
from tracelake.cli.ui import app_command, find_app
from tracelake.demo.session import running_demo
from tracelake.errors import LakeError
from tracelake.ingest.collector import Options, ensure_running
from tracelake.replay.recorded import settle

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from tracelake.cli.options import Commands
    from tracelake.ingest.collector import Collector
    from tracelake.lake import Lake

#: The demo may itself be stopped; its children then end with it.
_STOP_SIGNALS = (signal.SIGTERM, signal.SIGHUP)


def register(commands: Commands) -> None:
    """Add the commands of this module."""
    demo = add_command(
        commands, "demo", _demo, help="record a multi-agent program against an offline provider"
    )
    demo.add_argument("--headless", action="store_true", help="without the app")
    demo.add_argument("--once", action="store_true", help="exit when the program's trace has ended")
    demo.add_argument("--port", type=int, default=0, help="port of the app (default: a free one)")
    demo.add_argument(
        "--pace", type=float, default=1.0, help="1 answers as fast as a model, 0 at once"
    )


def _demo(arguments: argparse.Namespace) -> int:
    for number in _STOP_SIGNALS:
        signal.signal(number, _interrupt)
    lake = open_lake(arguments)
    collector = ensure_running(lake.location, Options(port=0))
    try:
        return _run(arguments, lake, collector)
    finally:
        collector.stop()


def _interrupt(_number: int, _frame: object) -> None:
    raise KeyboardInterrupt


def _run(arguments: argparse.Namespace, lake: Lake, collector: Collector) -> int:
    output = sys.stderr.fileno() if arguments.json or arguments.once else None
    with running_demo(lake, collector, pace=arguments.pace, output=output) as run:
        note(f"tracelake: the demo is trace {run.run_id} in {lake.path}; its answers are offline")
        app = None if arguments.headless else _start_app(arguments, lake, run.run_id)
        try:
            code = run.process.wait()
            trace = settle(lake, run.run_id)
            if code or trace is None or trace["status"] == "running":
                raise LakeError(f"the demo program ended with exit code {code} and no whole trace")
            if not arguments.once:
                note("tracelake: the demo is done; press Ctrl+C to stop")
                _wait(app)
        finally:
            if app is not None:
                app.terminate()
                app.wait()
    if arguments.json:
        print_json({"trace_id": run.run_id})
    elif arguments.once:
        print(run.run_id)
    return 0


def _wait(app: subprocess.Popen[bytes] | None) -> None:
    if app is None:
        threading.Event().wait()
    elif code := app.wait():
        raise LakeError(f"the app ended with exit code {code}: its log above says why")


def _start_app(arguments: argparse.Namespace, lake: Lake, trace_id: str) -> subprocess.Popen[bytes]:
    port = arguments.port or _free_port()
    environ = {**os.environ, "TRACELAKE_DIR": lake.path}
    app = subprocess.Popen(app_command(port, headless=True), env=environ, cwd=find_app())
    url = f"http://localhost:{port}/live?trace={trace_id}"
    note(f"tracelake: the live graph is at {url}")
    threading.Thread(target=_open_browser, args=(port, url), daemon=True).start()
    return app


def _open_browser(port: int, url: str) -> None:
    import webbrowser

    for _ in _patience():
        with socket.socket() as probe:
            probe.settimeout(0.5)
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                webbrowser.open(url)
                return


def _patience() -> Iterator[int]:
    pause = threading.Event()
    for attempt in range(100):
        yield attempt
        pause.wait(0.2)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
