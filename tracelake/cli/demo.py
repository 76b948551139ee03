"""`demo`: a multi-agent program recorded while it runs, with no key and no network."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING

from tracelake.cli.options import add_command, note, open_lake, port, print_json
from tracelake.cli.ui import app_command, find_app
from tracelake.demo.session import running_demo
from tracelake.errors import LakeError
from tracelake.ingest.collector import Options, ensure_running
from tracelake.replay.recorded import settle

if TYPE_CHECKING:
    import argparse

    from tracelake.cli.options import Commands
    from tracelake.ingest.collector import Collector
    from tracelake.lake import Lake

#: The demo may itself be stopped; its children then end with it.
_STOP_SIGNALS = (signal.SIGTERM, signal.SIGHUP)
_START_TIMEOUT_S = 60.0


def register(commands: Commands) -> None:
    """Add the commands of this module."""
    demo = add_command(
        commands, "demo", _demo, help="record a multi-agent program against an offline provider"
    )
    demo.add_argument("--headless", action="store_true", help="without the app")
    demo.add_argument("--once", action="store_true", help="exit when the program's trace has ended")
    demo.add_argument("--port", type=port, default=0, help="port of the app (default: a free one)")
    demo.add_argument(
        "--pace", type=float, default=1.0, help="1 answers as fast as a model, 0 at once"
    )


def _demo(arguments: argparse.Namespace) -> int:
    for number in _STOP_SIGNALS:
        signal.signal(number, _interrupt)
    lake = open_lake(arguments)
    if not arguments.headless and arguments.port and _answers(arguments.port):
        raise LakeError(f"port {arguments.port} is taken: choose another with --port")
    collector = ensure_running(lake.location, Options(port=0))
    try:
        return _run(arguments, lake, collector)
    finally:
        collector.stop()


def _interrupt(_number: int, _frame: object) -> None:
    raise KeyboardInterrupt


def _run(arguments: argparse.Namespace, lake: Lake, collector: Collector) -> int:
    output = sys.stderr.fileno() if arguments.json or arguments.once else None
    port = arguments.port or _free_port()
    # the app first: it takes seconds to start, in which the program would go on unseen
    app = None if arguments.headless else _start_app(port, lake)
    try:
        with running_demo(lake, collector, pace=arguments.pace, output=output) as run:
            note(
                f"tracelake: the demo is trace {run.run_id} in {lake.path}; its answers are offline"
            )
            if app is not None:
                _open_browser(f"http://localhost:{port}/live?trace={run.run_id}")
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


def _start_app(port: int, lake: Lake) -> subprocess.Popen[bytes]:
    """The app, once it answers."""
    environ = {**os.environ, "TRACELAKE_DIR": lake.path}
    app = subprocess.Popen(app_command(port, headless=True), env=environ, cwd=find_app())
    try:
        _wait_until_it_answers(app, port)
    except BaseException:  # told to stop meanwhile: it does not stay behind
        app.terminate()
        app.wait()
        raise
    return app


def _wait_until_it_answers(app: subprocess.Popen[bytes], port: int) -> None:
    deadline = time.monotonic() + _START_TIMEOUT_S
    while not _answers(port):
        if app.poll() is not None:
            raise LakeError(f"the app ended with exit code {app.returncode}: its log says why")
        if time.monotonic() > deadline:
            raise LakeError(f"the app did not answer within {_START_TIMEOUT_S:g} s")
        time.sleep(0.1)


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(0.5)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _open_browser(url: str) -> None:
    import webbrowser

    note(f"tracelake: the live graph is at {url}")
    # where there is no screen this may take long, or print
    threading.Thread(target=webbrowser.open, args=(url,), daemon=True).start()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
