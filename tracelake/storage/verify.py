"""Looking for damage, naming it, and taking damaged files out of the way.

    verify(location) -> VerifyReport               reads everything, changes nothing
    quarantine(location, report) -> list of paths  moves damaged files to LAKE/quarantine

Invariant: damage is never repaired by guessing. A file is either whole or it is left out by name;
the rows of the other files stay readable either way.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import orjson

from tracelake.schema import TABLES
from tracelake.storage import files
from tracelake.storage.carry import carry_path
from tracelake.storage.codec import decode_events
from tracelake.storage.damage import why_unreadable
from tracelake.storage.hot import carry_key
from tracelake.storage.lock import sealer_lock
from tracelake.storage.options import storage_options
from tracelake.storage.rewrite import rewrite
from tracelake.storage.segment import list_segments, read_segment
from tracelake.storage.table import DeltaStore
from tracelake.storage.xlog import SUFFIX, CorruptRecord, read_records

if TYPE_CHECKING:
    from tracelake.config import Location
    from tracelake.storage.table import Snapshot

#: A file with a name of ours that no commit names may be in the making for this long.
_IN_THE_MAKING_S = 900.0


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong.

    Attributes:
        path: The file, relative to the lake where it lies in it.
        kind: `damaged` (a live file that is not whole), `alien` (a file nobody committed) or
            `hot` (a damaged segment or a missing carry).
        reason: What is wrong, in a few words.
    """

    table: str
    path: str
    kind: str
    reason: str


@dataclass(frozen=True, slots=True)
class VerifyReport:
    """What a check of the whole lake found."""

    files: int
    rows: int
    problems: tuple[Problem, ...]

    @property
    def is_clean(self) -> bool:
        """Whether nothing is wrong."""
        return not self.problems


def verify(location: Location) -> VerifyReport:
    """Decode every live file, look for alien ones, and read the hot folder.

    Raises:
        SchemaTooNew: The lake was written by a newer Trace Lake.
    """
    problems: list[Problem] = []
    count = rows = 0
    snapshots: dict[str, Snapshot] = {}
    for name, table in TABLES.items():
        store = DeltaStore(location.tables, table, storage_options(location))
        snapshot = snapshots[name] = store.snapshot()
        for file in (*snapshot.files, *snapshot.damaged):
            count += 1
            reason = why_unreadable(file, table, store.options)
            if reason is None:
                rows += file.rows
            else:
                problems.append(Problem(name, f"{name}/{file.path}", "damaged", reason))
        if store.is_local:
            problems += _aliens(Path(store.uri), name, snapshot)
    problems += _hot_problems(location, snapshots)
    return VerifyReport(count, rows, tuple(problems))


def quarantine(location: Location, report: VerifyReport) -> list[Path]:
    """Move the damaged and alien files of a report to `LAKE/quarantine` and out of the tables.

    Readers leave such files out anyway; this helps the tools that read the tables themselves.

    Returns:
        Where the files are now.

    Raises:
        LakeLocked: Another process is changing the tables.
    """
    moved: list[Path] = []
    root = Path(location.tables)
    with sealer_lock(location.hot):
        for name, table in TABLES.items():
            bad = [p for p in report.problems if p.table == name and p.kind != "hot"]
            if not bad:
                continue
            store = DeltaStore(location.tables, table, storage_options(location))
            snapshot = store.snapshot()
            paths = {problem.path for problem in bad}
            live = [f for f in (*snapshot.files, *snapshot.damaged) if f"{name}/{f.path}" in paths]
            if live:
                rewrite(store, snapshot, live, [], {})
            for path in sorted(paths):
                if (root / path).exists():
                    target = root / "quarantine" / path
                    target.parent.mkdir(parents=True, exist_ok=True)
                    files.rename(root / path, target)
                    moved.append(target)
    return moved


def _aliens(root: Path, name: str, snapshot: Snapshot) -> list[Problem]:
    known = {file.path for file in (*snapshot.files, *snapshot.damaged)}
    for commit in (root / "_delta_log").glob("*.json"):
        for line in commit.read_bytes().splitlines():
            action = orjson.loads(line)
            known |= {action[kind]["path"] for kind in ("add", "remove") if kind in action}
    found: list[Problem] = []
    for path in sorted(root.rglob("*.parquet")):
        relative = path.relative_to(root).as_posix()
        if relative in known or relative.startswith("_delta_log"):
            continue
        young = time.time() - path.stat().st_mtime < _IN_THE_MAKING_S
        if not (young and path.name.startswith("part-")):
            found.append(Problem(name, f"{name}/{relative}", "alien", "no commit names it"))
    return found


def _hot_problems(location: Location, snapshots: dict[str, Snapshot]) -> list[Problem]:
    found: list[Problem] = []
    for name, path in list_segments(location.hot).items():
        lines, _ = read_segment(path, 0)
        bad = lines.count(b"\n") - len(decode_events(lines, name))
        if bad:
            found.append(Problem("spans", f"hot/{name}", "hot", f"{bad} lines are no events"))
    for name, path in list_segments(location.hot, SUFFIX).items():
        offset = -1
        after = 0
        try:
            while after != offset:
                offset = after
                _, after = read_records(path, offset)
        except CorruptRecord:
            reason = f"damaged at byte {offset}"
            found.append(Problem("exchanges", f"hot/{name}", "hot", reason))
    key = carry_key(location)
    for table, suffix in (("spans", ".jsonl"), ("exchanges", SUFFIX)):
        number = snapshots[table].offset(key)
        path = carry_path(location.hot, number, suffix)
        if number and not path.exists():
            found.append(Problem(table, f"hot/{path.name}", "hot", "the carry is missing"))
    return found
