"""A disk that is full, or a folder that cannot be written: reported, survived, nothing lost.

A limit on the size of files, set from outside on the running process, refuses its writes as a full
disk does, in the middle of whatever it writes; taking the limit away is the space that comes back.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.support import eventually
from tracelake import Exchange, Lake
from tracelake.storage.xlog import ExchangeLog

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.e2e

UNLIMITED = resource.RLIM_INFINITY

#: Seals, compacts or appends when told to on standard input, and answers with a line of JSON.
WORKER = """
import json, os, sys
from tracelake import Lake, Tracer
lake = Lake(sys.argv[1])
number = 0
print(json.dumps("ready"), flush=True)
for line in sys.stdin:
    try:
        match line.split():
            case ["seal"]: answer = lake.seal().spans
            case ["compact"]: answer = lake.compact().merges
            case ["become", user]: answer = os.setuid(int(user))
            case ["append"]:
                number += 1
                event = {"event_type": "tool_call", "trace_id": "mine", "span_id": f"w{number}",
                         "timestamp": "2025-11-22T10:00:00Z", "data": {"result": "x" * 3000}}
                lake.append(event)
                answer = f"w{number}"
            case ["trace"]:
                tracer = Tracer(lake)
                with tracer.agent("host"), tracer.tool("t", parameters={"x": "y" * 9000}) as tool:
                    tool.finish(result="z")
                answer = "the program went on"
    except Exception as error:
        answer = {"error": type(error).__name__, "says": str(error)}
    print(json.dumps(answer), flush=True)
"""


class Worker:
    """The process, asked from outside."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        assert self.listen() == "ready"

    def listen(self) -> Any:
        """Its next answer."""
        assert self.process.stdout is not None
        return json.loads(self.process.stdout.readline())

    def ask(self, what: str) -> Any:
        """Tell it to do something."""
        assert self.process.stdin is not None
        self.process.stdin.write(what + "\n")
        self.process.stdin.flush()
        return self.listen()

    def limit(self, file_bytes: int) -> None:
        """Let no file it writes grow beyond this."""
        resource.prlimit(self.process.pid, resource.RLIMIT_FSIZE, (file_bytes, UNLIMITED))


@pytest.fixture
def lake() -> Iterator[Lake]:
    """An empty lake in a folder that any user may enter and write."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        root.chmod(0o777)
        yield Lake(root / "lake")


@pytest.fixture
def worker(lake: Lake) -> Iterator[Worker]:
    """A process on the lake."""
    with subprocess.Popen(
        [sys.executable, "-c", WORKER, lake.path],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        yield Worker(process)
        process.kill()


def _append(lake: Lake, count: int, prefix: str = "s") -> set[str]:
    for number in range(count):
        lake.append(
            {
                "event_type": "llm_call",
                "trace_id": f"t{number % 5}",
                "span_id": f"{prefix}{number}",
                "timestamp": "2025-11-22T10:00:00Z",
                "data": {"response": os.urandom(400).hex(), "duration_ms": 1.0},
            }
        )
    return {f"{prefix}{number}" for number in range(count)}


def _held(lake: Lake) -> list[str]:
    return sorted(Lake(lake.path).spans().collect()["span_id"])


@pytest.mark.parametrize("file_bytes", [0, 3_000, 20_000])
def test_a_seal_on_a_full_disk_changes_nothing(lake: Lake, worker: Worker, file_bytes: int) -> None:
    """Wherever it runs out of space: an error with a reason, every span readable, once."""
    first = _append(lake, 40)
    assert worker.ask("seal") == 40
    second = _append(lake, 60, "later")
    worker.limit(file_bytes)
    refused = worker.ask("seal")
    assert refused["error"] in {"OSError", "LakeError"}, refused
    assert refused["says"]
    assert _held(lake) == sorted(first | second)
    third = _append(lake, 5, "meanwhile")
    assert _held(lake) == sorted(first | second | third)
    worker.limit(UNLIMITED)
    assert worker.ask("seal") == 65
    assert _held(lake) == sorted(first | second | third)
    assert Lake(lake.path).verify().is_clean
    assert Lake(lake.path).traces().collect()["span_count"].sum() == 105


def test_a_merge_on_a_full_disk_changes_nothing(lake: Lake, worker: Worker) -> None:
    """The files that were to be merged stay, and no half file is left beside them."""
    expected: set[str] = set()
    for seal in range(8):
        expected |= _append(lake, 20, f"m{seal}-")
        worker.ask("seal")
    before = sorted(lake.files())
    worker.limit(10_000)
    assert worker.ask("compact")["error"] in {"OSError", "LakeError"}
    assert sorted(lake.files()) == before
    assert sorted(map(str, Path(lake.path, "spans").glob("date=*/*.parquet"))) == before
    worker.limit(UNLIMITED)
    assert worker.ask("compact") == 1
    assert _held(lake) == sorted(expected)


def test_a_writer_on_a_full_disk_hears_of_it_and_goes_on(lake: Lake, worker: Worker) -> None:
    """Nothing acknowledged is lost, nothing refused appears, and it writes again when it can."""
    kept = {worker.ask("append") for _ in range(5)}
    worker.limit(5 * 3200 + 1000)  # the next event is torn in its middle
    assert worker.ask("append")["error"] == "OSError"
    worker.limit(0)
    assert worker.ask("append")["error"] == "OSError"
    assert worker.ask("trace") == "the program went on"
    assert set(_held(lake)) == kept
    worker.limit(UNLIMITED)
    kept |= {worker.ask("append") for _ in range(5)}
    assert worker.ask("seal") == 10
    assert set(_held(lake)) == kept


def test_a_lake_that_became_read_only_is_read_and_reported(lake: Lake, worker: Worker) -> None:
    """Who may not write gets an error that says so; reading goes on; rights given back end it."""
    expected = _append(lake, 10)
    worker.ask("seal")
    expected |= _append(lake, 10, "later")
    folders = [Path(lake.path), *(p for p in Path(lake.path).rglob("*") if p.is_dir())]
    for folder in folders:
        folder.chmod(0o555)
    if os.geteuid() == 0:  # nothing is read-only for root
        worker.ask("become 65534")
    try:
        assert worker.ask("seal")["error"] in {"PermissionError", "OSError", "LakeError"}
        assert worker.ask("append")["error"] == "PermissionError"
        assert _held(lake) == sorted(expected)
    finally:
        for folder in folders:
            folder.chmod(0o777)
    for path in Path(lake.path).rglob("*"):
        path.chmod(0o777)
    assert worker.ask("seal") == 10
    assert _held(lake) == sorted(expected)


def test_ingest_on_a_full_disk_catches_up(lake: Lake) -> None:
    """Calls recorded while ingest could write nothing have their spans once it can again."""
    command = [sys.executable, "-m", "tracelake.ingest", "--tables", lake.path]
    command += ["--hot", str(lake.hot), "--relay", "http://127.0.0.1:1", "--otlp-port", "0"]
    log = ExchangeLog(lake.hot)

    def record(number: int) -> str:
        body = {"model": "gpt-4o", "messages": [{"role": "user", "content": f"question {number}"}]}
        answer = {"choices": [{"message": {"role": "assistant", "content": f"answer {number}"}}]}
        now = datetime.now(UTC)
        exchange = Exchange(
            f"call-{number}", now, "POST", "/v1/chat/completions", "openai", (),
            json.dumps(body).encode(), run_id=f"run-{number}", end_time=now, status=200,
            response_body=json.dumps(answer).encode(), outcome="ok",
        )  # fmt: skip
        log.opened(exchange)
        log.ended(exchange)
        return exchange.span_id

    def derived() -> set[str]:
        done = lake.spans().filter(kind="llm", status="ok").collect()
        return set(done["span_id"])

    def running() -> subprocess.Popen[str]:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        said = process.stdout.readline()
        assert said
        assert "error" not in said
        return process

    ingest = running()
    try:
        calls = {record(number) for number in range(5)}
        eventually(lambda: derived() == calls)
        resource.prlimit(ingest.pid, resource.RLIMIT_FSIZE, (0, UNLIMITED))
        calls |= {record(number) for number in range(5, 10)}
        # it ends rather than forget what it could not write; its supervisor starts it again
        assert eventually(ingest.poll)
        ingest.communicate()
        assert len(derived()) == 5
        ingest = running()
        eventually(lambda: derived() == calls)
        spans = lake.spans().collect()
        assert spans.select("trace_id", "span_id").is_duplicated().sum() == 0
    finally:
        ingest.kill()
        ingest.communicate()
        log.close()
