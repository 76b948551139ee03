"""The demo program as a process, against the offline provider as a process."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import httpx2 as httpx
import pytest

from tests.support import eventually
from tracelake.demo import program
from tracelake.demo.launch import (
    copy_repository,
    program_command,
    program_environment,
    running_program,
    running_provider,
)
from tracelake.errors import TraceLakeError

if TYPE_CHECKING:
    from tracelake.demo.launch import RunningProvider


def run(provider: RunningProvider, workdir: Path, task: str | None = None) -> tuple[int, str]:
    """Run the program to its end; exit code and output."""
    with running_program(
        workdir,
        anthropic_base_url=provider.anthropic_base_url,
        openai_base_url=provider.openai_base_url,
        task=task,
        stdout=subprocess.PIPE,
    ) as process:
        output, _ = process.communicate(timeout=60)
    return process.returncode, output.decode()


def test_the_program_does_its_task(tmp_path: Path) -> None:
    """It makes its calls through both SDKs, changes files, recovers from a failed tool, exits 0."""
    workdir = copy_repository(tmp_path / "work")
    with running_provider(pace=0) as provider:
        code, output = run(provider, workdir)
        stats = httpx.get(f"{provider.address}/stats").json()
    assert code == 0, output
    assert "All 8 tests pass" in output
    assert "read_file failed: no such file: docs/delivery.md" in output
    assert stats["by_endpoint"] == {"messages": 8, "chat/completions": 4}
    assert len(set(stats["hashes"])) == 12
    assert {call["outcome"] for call in stats["calls"]} == {"ok"}
    assert ">= rates.FREE_DELIVERY_FROM_CENTS" in (workdir / "parcels/quote.py").read_text()
    assert (workdir / "tests/test_free_delivery.py").exists()


def test_two_runs_send_the_same_but_for_ids(tmp_path: Path) -> None:
    """With repeating ids, the bytes of every request repeat: nothing else in a prompt varies."""
    sent: list[set[str]] = []
    for name in ("first", "second"):
        with running_provider(pace=0, seed="same") as provider:
            run(provider, copy_repository(tmp_path / name / "work"))
            sent.append(set(httpx.get(f"{provider.address}/stats").json()["hashes"]))
    assert len(sent[0]) == 12
    assert sent[0] == sent[1]


def test_another_task_is_worked_on(provider: RunningProvider, tmp_path: Path) -> None:
    """The task can be given; here one that the team answers without changing anything."""
    workdir = copy_repository(tmp_path / "work")
    code, output = run(provider, workdir, "Which surcharge do heavy parcels pay?")
    assert code == 0, output
    assert "the agents report changes in no file." in output


def test_a_provider_that_cannot_be_reached_is_one_clear_line(tmp_path: Path) -> None:
    """Without a provider the program exits 1 and says why."""
    environment = program_environment(
        anthropic_base_url="http://127.0.0.1:9", openai_base_url="http://127.0.0.1:9/v1"
    )
    done = subprocess.run(
        program_command(),
        cwd=copy_repository(tmp_path / "work"),
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr.strip() == "the task was given up: Connection error."


def test_the_program_imports_nothing_of_ours() -> None:
    """It is what a user would have written: the two SDKs and the standard library."""
    source = Path(program.__file__).read_text()
    assert not [
        line
        for line in source.splitlines()
        if line.startswith(("import tracelake", "from tracelake", "from ."))
    ]


def test_no_path_leads_out_of_the_repository(tmp_path: Path) -> None:
    """The tools touch nothing beyond the folder they were given."""
    repository = program.Repository(copy_repository(tmp_path / "work"))
    with pytest.raises(program.ToolError, match="outside"):
        repository.read_file("../secret.md")
    with pytest.raises(program.ToolError, match="outside"):
        repository.write_file("/tmp/secret.md", "")


def test_a_copy_never_lands_in_a_used_folder(tmp_path: Path) -> None:
    """Copying the repository refuses a folder that holds something."""
    (tmp_path / "mine.txt").write_text("precious")
    with pytest.raises(FileExistsError, match="not empty"):
        copy_repository(tmp_path)


def test_leaving_the_block_ends_the_processes(tmp_path: Path) -> None:
    """Both processes are stopped and reaped, also in the middle of a run."""
    with running_provider(pace=1) as provider:
        with running_program(
            copy_repository(tmp_path / "work"),
            anthropic_base_url=provider.anthropic_base_url,
            openai_base_url=provider.openai_base_url,
            stdout=subprocess.DEVNULL,
        ) as process:
            url = f"{provider.address}/stats"
            assert eventually(lambda: httpx.get(url).json()["total"])
        assert process.returncode == -signal.SIGTERM
    assert provider.process.returncode is not None
    for ended in (process.pid, provider.process.pid):
        with pytest.raises(ProcessLookupError):
            os.kill(ended, 0)


def test_the_provider_ends_with_whoever_started_it() -> None:
    """A launcher that is killed leaves no provider behind."""
    code = (
        "import os\n"
        "from tracelake.demo.launch import running_provider\n"
        "with running_provider() as p:\n"
        "    print(p.process.pid, flush=True)\n"
        "    os.kill(os.getpid(), 9)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == -signal.SIGKILL
    pid = int(done.stdout)

    def is_gone() -> bool:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        status = Path(f"/proc/{pid}/stat")
        return status.exists() and status.read_text().split()[2] == "Z"

    assert eventually(is_gone)


def test_a_provider_that_cannot_start_is_reported(provider: RunningProvider) -> None:
    """A port in use is an error, not a wait."""
    port = int(provider.address.rsplit(":", 1)[1])
    with pytest.raises(TraceLakeError, match="did not start"), running_provider(port=port):
        pass
