"""`ui` (also `proxy dashboard`): the app, from a checkout or from an installed wheel."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from tracelake.cli.options import add_command, port
from tracelake.config import locate
from tracelake.errors import LakeError
from tracelake.replay.launch import wait_forwarding_signals

if TYPE_CHECKING:
    import argparse

    from tracelake.cli.options import Commands

DEFAULT_PORT = 8501


def register(commands: Commands) -> None:
    """Add the commands of this module."""
    add_ui_command(commands, "ui", help="open the app in the browser")


def add_ui_command(commands: Commands, name: str, *, help: str) -> None:  # noqa: A002 - argparse's word
    """Add the command under one of its names."""
    ui = add_command(commands, name, _ui, help=help, json_output=False)
    ui.add_argument("--port", type=port, default=DEFAULT_PORT, help="port of the app")
    ui.add_argument("--headless", action="store_true", help="do not open a browser")


def find_app() -> Path:
    """The folder that `streamlit run` takes: inside the installed package, else of the checkout.

    Raises:
        LakeError: Neither is there.
    """
    package = Path(__file__).resolve().parents[1]
    for folder in (package / "_ui" / "app", package.parent / "app"):
        if (folder / "streamlit_app.py").is_file():
            return folder
    raise LakeError("the app's files are not installed: reinstall tracelake")


def app_command(port: int, *, headless: bool) -> list[str]:
    """The command that serves the app."""
    command = [sys.executable, "-m", "streamlit", "run", str(find_app())]
    command += ["--server.port", str(port)]
    return [*command, "--server.headless", "true"] if headless else command


def _ui(arguments: argparse.Namespace) -> int:
    environ = {**os.environ, "TRACELAKE_DIR": locate(arguments.lake).tables}
    command = app_command(arguments.port, headless=arguments.headless)
    with subprocess.Popen(command, env=environ, cwd=find_app()) as process:
        return wait_forwarding_signals(process)
