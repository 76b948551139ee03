"""Starts and stops the demo's two processes; where the program's calls go is the caller's choice.

    with running_provider() as provider, running_program(workdir, …) as program:
        program.wait()

Invariants:
- Leaving a block ends its process and waits for it, whatever happened inside.
- The provider also ends when the process that started it dies without leaving its block.
"""

from __future__ import annotations

import json
import os
import select
import shutil
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING

from tracelake.errors import TraceLakeError

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping

REPOSITORY = Path(__file__).parent / "repository"
#: How long the provider may take to serve, and a process to end after SIGTERM.
START_TIMEOUT_S = 30.0
STOP_TIMEOUT_S = 5.0


@dataclass(frozen=True, slots=True)
class RunningProvider:
    """The offline provider, serving.

    Attributes:
        address: For example `http://127.0.0.1:40123`, without `/v1`.
    """

    address: str
    process: subprocess.Popen[bytes]

    @property
    def anthropic_base_url(self) -> str:
        """What `ANTHROPIC_BASE_URL` or an Anthropic backend is set to."""
        return self.address

    @property
    def openai_base_url(self) -> str:
        """What `OPENAI_BASE_URL` or an OpenAI backend is set to."""
        return f"{self.address}/v1"


@contextmanager
def running_provider(
    *, port: int = 0, pace: float = 1.0, seed: str | None = None
) -> Generator[RunningProvider]:
    """Serve the offline provider in a process of its own while the block runs.

    Args:
        port: Port on loopback; 0 takes a free one.
        pace: 1 answers as fast as a model, 0 at once.
        seed: Makes the ids in an answer a function of seed and request; None makes them unique.

    Raises:
        TraceLakeError: It did not serve in time; why stands on stderr.
    """
    command = [sys.executable, "-m", "tracelake.demo.provider", "--port", str(port)]
    if seed is not None:
        command += ["--seed", seed]
    process = subprocess.Popen(
        [*command, "--pace", str(pace), "--until-stdin-closes"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        start_new_session=True,
    )
    try:
        yield RunningProvider(_announced_address(process), process)
    finally:
        stop(process)


@contextmanager
def running_program(
    workdir: Path,
    *,
    anthropic_base_url: str,
    openai_base_url: str,
    task: str | None = None,
    stdout: int | IO[bytes] | None = None,
    environment: Mapping[str, str] | None = None,
) -> Generator[subprocess.Popen[bytes]]:
    """Run the demo program while the block runs; wait for the process inside it.

    It runs with `workdir` as its working directory, so that the same command line can run again
    in another copy of the folder.

    Args:
        workdir: The repository to work on, see `copy_repository`.
        anthropic_base_url: As the SDK takes it, without `/v1`.
        openai_base_url: As the SDK takes it, with `/v1`.
        task: What the team is to do; None is the program's own task.
        stdout: Where its output goes, as for `subprocess.Popen`; stderr follows it.
        environment: Further variables for the program.
    """
    process = subprocess.Popen(
        program_command(task),
        cwd=workdir,
        env={
            **program_environment(
                anthropic_base_url=anthropic_base_url, openai_base_url=openai_base_url
            ),
            **(environment or {}),
        },
        stdin=subprocess.DEVNULL,
        stdout=stdout,
        stderr=None if stdout is None else subprocess.STDOUT,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        stop(process)


def program_command(task: str | None = None) -> list[str]:
    """The command that runs the program on the repository in its working directory."""
    command = [sys.executable, "-m", "tracelake.demo.program", "--workdir", "."]
    return command if task is None else [*command, "--task", task]


def program_environment(*, anthropic_base_url: str, openai_base_url: str) -> dict[str, str]:
    """This process's environment with the program's base URLs, and keys that are none.

    Real keys are replaced on purpose: the demo must not be able to spend money.
    """
    return {
        **os.environ,
        "ANTHROPIC_API_KEY": "offline-demo",
        "ANTHROPIC_BASE_URL": anthropic_base_url,
        "OPENAI_API_KEY": "offline-demo",
        "OPENAI_BASE_URL": openai_base_url,
    }


def copy_repository(target: Path) -> Path:
    """Copy the bundled repository into a folder that is made when it is absent; the folder.

    Raises:
        FileExistsError: The folder holds something already.
    """
    if target.exists() and any(target.iterdir()):
        raise FileExistsError(f"{target} is not empty: choose another folder for the demo")
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(REPOSITORY, target, dirs_exist_ok=True, ignore=ignored)
    return target


def stop(process: subprocess.Popen[bytes]) -> None:
    """End a process and wait for it: SIGTERM, and SIGKILL when that is not heeded in time."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.kill()
    process.wait()
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            pipe.close()


def _announced_address(process: subprocess.Popen[bytes]) -> str:
    """The address in the line the provider prints once it serves."""
    if process.stdout is None:
        raise ValueError("the provider was started without a pipe for its output")
    ready, _, _ = select.select([process.stdout], [], [], START_TIMEOUT_S)
    line = process.stdout.readline() if ready else b""
    if not line:
        raise TraceLakeError(
            "the offline provider did not start: see the messages above, and try another port"
        )
    return str(json.loads(line)["address"])
