"""The lake under torture, as a program: `python -m tests.e2e.torture --seconds 600`.

Three writers, a sealer and a compactor with its vacuum are killed with `kill -9` at random and
started again, while two readers check every snapshot against what was acknowledged before it.

Prints one line of counts for each reader and a verdict; exits 1 when anything was lost, doubled,
went backwards, or a reader got an error.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from tracelake import Lake
from tracelake.storage.compactor import Compactor
from tracelake.storage.sealer import Sealer

if TYPE_CHECKING:
    from collections.abc import Callable

WRITERS = 3
READERS = 2
FAR = date(2999, 1, 1)


def write(root: Path) -> None:
    """Append starts and ends of spans, and note each in a ledger after append returned."""
    chance = random.Random(os.getpid())
    lake = Lake(root / "lake")
    lake._writer._roll_bytes = 300_000
    ledger = os.open(root / f"ledger-{time.time_ns()}", os.O_CREAT | os.O_APPEND | os.O_WRONLY)
    is_open: list[tuple[str, str]] = []
    number = 0
    while True:
        if chance.random() < 0.5 or not is_open:
            trace_id = f"t{os.getpid()}-{number // 20}"
            key = (trace_id, f"s{os.getpid()}-{number}")
            number += 1
            data: dict[str, object] = {"status": "running", "messages": "m" * 3000}
            is_open.append(key)
            what = "S"
        else:
            key = is_open.pop(chance.randrange(len(is_open)))
            data = {"status": "ok", "response": "r" * 300, "tokens": {"input": 1}}
            what = "E"
        event = {
            "event_type": "llm_call",
            "trace_id": key[0],
            "span_id": key[1],
            "timestamp": datetime.now(UTC),
            "data": data,
        }
        lake.append(event, durable=chance.random() < 0.01)
        os.write(ledger, f"{what} {key[0]} {key[1]}\n".encode())
        if number == 1:
            at_work(root)
        if chance.random() < 0.02 and is_open:  # a fact about a span that may be sealed already
            late = {**event, "event_type": "span", "data": {"late": number}}
            lake.append(late)
        time.sleep(0.003)


def seal(root: Path) -> None:
    """Seal twice a second, give up the dead soon, reap soon."""
    sealer = Sealer(Lake(root / "lake").location, lost_after_s=4, reap_grace_s=1)
    while True:
        sealer.seal()
        at_work(root)
        time.sleep(0.5)


def compact(root: Path) -> None:
    """Merge everything, again and again, in small files, and vacuum after a short grace."""
    compactor = Compactor(Lake(root / "lake").location, target_bytes=8 << 20, vacuum_grace_s=15)
    while True:
        compactor.compact(today=FAR)
        at_work(root)
        time.sleep(2)


def read(root: Path) -> None:
    """Take snapshots until told to stop, check each, and print the counts."""
    keeps = os.getpid() % 2 == 0
    lake = Lake(root / "lake")
    counts = dict.fromkeys(("snapshots", "lost", "doubled", "backwards", "errors"), 0)
    first_error = ""
    latencies: list[float] = []
    seen: dict[tuple[str, str], str] = {}
    while not (root / "stop").exists():
        started, ended = acknowledged(root)
        if not keeps:
            lake = Lake(root / "lake")
        began = time.perf_counter()
        try:
            found = lake.spans().select("trace_id", "span_id", "status").collect()
            traces = lake.traces().select("trace_id").collect()
        except Exception as error:  # noqa: BLE001 - any error of a reader is what is counted here
            counts["errors"] += 1
            first_error = first_error or repr(error)[:300]
            continue
        latencies.append((time.perf_counter() - began) * 1e3)
        now = {(trace, span): status for trace, span, status in found.iter_rows()}
        counts["snapshots"] += 1
        counts["lost"] += len(started - now.keys()) + sum(now.get(k) != "ok" for k in ended)
        doubled = found.height - len(now), traces.height - traces.n_unique()
        counts["doubled"] += sum(doubled)
        if any(doubled):
            first_error = first_error or "doubled: {} spans, {} traces".format(*doubled)
        counts["backwards"] += len(seen.keys() - now.keys()) + sum(
            seen[key] == "ok" and now[key] != "ok" for key in seen.keys() & now.keys()
        )
        seen = now
        time.sleep(0.1)
    latencies.sort()
    p50, p95 = (round(latencies[int(len(latencies) * q)]) for q in (0.5, 0.95))
    result = {**counts, "spans": len(seen), "p50_ms": p50, "p95_ms": p95, "error": first_error}
    (root / f"reader-{os.getpid()}.json").write_text(json.dumps(result))


def acknowledged(root: Path) -> tuple[set[tuple[str, str]], set[tuple[str, str]]]:
    """Spans whose start, and whose end, an append had returned for."""
    started: set[tuple[str, str]] = set()
    ended: set[tuple[str, str]] = set()
    for path in root.glob("ledger-*"):
        for line in path.read_bytes().split(b"\n")[:-1]:
            what, trace_id, span_id = line.decode().split()
            (started if what == "S" else ended).add((trace_id, span_id))
    return started, ended


ROLES: dict[str, Callable[[Path], None]] = {
    "write": write,
    "seal": seal,
    "compact": compact,
    "read": read,
}


def start(role: str, root: Path) -> subprocess.Popen[bytes]:
    """One process of the given role."""
    return subprocess.Popen([sys.executable, "-m", __spec__.name, "--role", role, "--root", root])


def torture(
    root: Path, seconds: float, seed: int = 1, *, tell: Callable[[str], None] = print
) -> dict[str, int]:
    """Run it, tell the counts and return them; all but the kills and spans have to be 0."""
    chance = random.Random(seed)
    victims = [start(role, root) for role in (*["write"] * WRITERS, "seal", "compact")]
    roles = [*["write"] * WRITERS, "seal", "compact"]
    readers: list[subprocess.Popen[bytes]] = []
    kills = dict.fromkeys(("write", "seal", "compact"), 0)
    died = 0
    try:
        readers = [start("read", root) for _ in range(READERS)]
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            time.sleep(chance.uniform(0.5, 1.5))
            place = chance.randrange(len(victims))
            if chance.random() < 0.8:  # the others die while they start
                until_at_work(root, victims[place])
            died += victims[place].poll() is not None
            victims[place].send_signal(signal.SIGKILL)
            victims[place].wait()
            kills[roles[place]] += 1
            victims[place] = start(roles[place], root)
        (root / "stop").touch()
        for reader in readers:
            reader.wait(60)
    finally:
        for process in (*victims, *readers):
            process.kill()
            process.wait()
    return judge(root, kills, died, tell)


def until_at_work(root: Path, process: subprocess.Popen[bytes], timeout_s: float = 60) -> None:
    """Wait until a process has done its first piece of work, on a busy machine a while."""
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline and process.poll() is None:
        if (root / f"at-work-{process.pid}").exists():
            return
        time.sleep(0.05)


def at_work(root: Path) -> None:
    """Say that this process has done something."""
    (root / f"at-work-{os.getpid()}").touch()


def judge(
    root: Path, kills: dict[str, int], died: int, tell: Callable[[str], None]
) -> dict[str, int]:
    """Drain the lake and compare it with what was acknowledged."""
    results = [json.loads(path.read_text()) for path in root.glob("reader-*.json")]
    for result in results:
        tell(f"reader: {result}")
    lake = Lake(root / "lake")
    Sealer(lake.location, lost_after_s=-3600, reap_grace_s=0).seal()
    Compactor(lake.location, vacuum_grace_s=0).compact(today=FAR)
    found = lake.spans().select("trace_id", "span_id", "status").collect()
    now = {(trace, span): status for trace, span, status in found.iter_rows()}
    rolled_up = lake.traces().select("span_count").collect()["span_count"].sum()
    started, ended = acknowledged(root)
    counts = {
        "lost": len(started - now.keys()) + sum(now.get(key) != "ok" for key in ended),
        "doubled": found.height - len(now) + abs(rolled_up - found.height),
        "backwards": 0,
        "errors": died + READERS - len(results),
    }
    for name in counts:
        counts[name] += sum(result[name] for result in results)
    snapshots = sum(result["snapshots"] for result in results)
    tell(
        f"kill -9: {kills}; acknowledged {len(started)} starts, {len(ended)} ends; "
        f"{snapshots} snapshots; {len(lake.files())} files, "
        f"{len(list(lake.hot.iterdir()))} hot files left; {counts}"
    )
    return counts


def main() -> int:
    """Run as a command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--role", choices=sorted(ROLES))
    parser.add_argument("--root", type=Path)
    options = parser.parse_args()
    if options.role:
        ROLES[options.role](options.root)
        return 0
    with tempfile.TemporaryDirectory() as folder:
        return 1 if any(torture(Path(folder), options.seconds, options.seed).values()) else 0


if __name__ == "__main__":
    sys.exit(main())
