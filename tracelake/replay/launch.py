"""Run a program with every known client pointed at the relay, output and signals passed through.

Codex ignores `OPENAI_BASE_URL`, so its command line gets configuration flags instead
(source: runs of Codex 0.169; `supports_websockets=false` keeps it on plain HTTP).
"""

from __future__ import annotations

import os
import signal
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING

from tracelake import recall
from tracelake.errors import LakeError
from tracelake.ingest.collector import base_urls

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tracelake.config import Location

#: Signals that a terminal or a service manager sends to us and that are meant for the program.
FORWARDED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)


@dataclass(frozen=True, slots=True)
class Streams:
    """Where a program in the background reads and writes; it then has a session of its own.

    Attributes:
        output: A descriptor or file for its output and errors; None shares ours.
    """

    stdin: int = subprocess.DEVNULL
    output: int | IO[bytes] | None = None


def client_environment(relay: str, run_id: str) -> dict[str, str]:
    """The variables that point SDKs at one run of the relay."""
    urls = base_urls(relay, run_id=run_id)
    return {
        "ANTHROPIC_BASE_URL": urls["anthropic_base_url"],
        "OPENAI_BASE_URL": urls["openai_base_url"],
        "OPENAI_API_BASE": urls["openai_base_url"],
        "TRACELAKE_RUN_ID": run_id,
    }


def lake_environment(location: Location) -> dict[str, str]:
    """The variables with which a `Tracer` of the program writes to the lake of its run."""
    found = {"TRACELAKE_DIR": location.tables}
    if location.hot != Path(location.tables) / "hot":
        found["TRACELAKE_HOT_DIR"] = str(location.hot.absolute())
    return found


def client_command(command: Sequence[str], relay: str, run_id: str) -> list[str]:
    """The command line, with the flags of clients that ignore the environment."""
    words = list(command)
    if words and Path(words[0]).name == "codex":
        url = base_urls(relay, run_id=run_id)["openai_base_url"]
        flags = {
            "model_provider": '"tracelake"',
            "model_providers.tracelake.name": '"OpenAI through Trace Lake"',
            "model_providers.tracelake.base_url": f'"{url}"',
            "model_providers.tracelake.env_key": '"OPENAI_API_KEY"',
            "model_providers.tracelake.wire_api": '"responses"',
            "model_providers.tracelake.supports_websockets": "false",
        }
        pairs = [word for key, value in flags.items() for word in ("-c", f"{key}={value}")]
        words[1:1] = pairs
    return words


def start(
    command: Sequence[str],
    *,
    relay: str,
    run_id: str,
    cwd: Path,
    environ: Mapping[str, str],
    streams: Streams | None = None,
) -> subprocess.Popen[bytes]:
    """Start a program whose calls are recorded as one run.

    Args:
        command: argv as the user wrote it.
        relay: Address of the relay.
        run_id: Id of the run and of its trace.
        cwd: Working directory.
        environ: Environment before ours is added.
        streams: Its standard streams; by default ours.

    Raises:
        LakeError: The program could not be started.
    """
    words = client_command(command, relay, run_id)
    environment = {**environ, **client_environment(relay, run_id)}
    environment.pop(recall.ADDRESS, None)  # of a replay that runs us: this is a run of its own
    try:
        return subprocess.Popen(
            words,
            cwd=cwd,
            env=environment,
            stdin=streams.stdin if streams else None,
            stdout=streams.output if streams else None,
            stderr=subprocess.STDOUT if streams and streams.output is not None else None,
            start_new_session=streams is not None,
        )
    except OSError as error:
        raise LakeError(f"cannot start {words[0]!r}: {error.strerror or error}") from error


def wait_forwarding_signals(process: subprocess.Popen[bytes]) -> int:
    """Wait for a program, passing on the signals that reach us.

    Returns:
        Its exit code, or 128 plus the number of the signal that ended it, as a shell says it.
    """

    def forward(number: int, _frame: object) -> None:
        # a terminal sends SIGINT to the whole foreground group: the program has it already
        if number != signal.SIGINT or os.getpgid(process.pid) != os.getpgrp():
            process.send_signal(number)

    before = {number: signal.signal(number, forward) for number in FORWARDED}
    try:
        code = process.wait()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    return 128 - code if code < 0 else code
