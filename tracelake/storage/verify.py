"""Looking for damage, naming it, and taking damaged files out of the way.

    verify(location) -> VerifyReport               reads everything, changes nothing
    quarantine(location, report) -> where they are  moves damaged files to LAKE/quarantine

Invariant: damage is never repaired by guessing. A file is either whole or it is left out by name;
the rows of the other files stay readable either way.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import orjson
from pyarrow.fs import FileSelector

from tracelake.errors import LakeError, SchemaTooNew
from tracelake.schema import TABLES
from tracelake.storage.carry import carry_path, why_no_carry
from tracelake.storage.claim import carry_key
from tracelake.storage.codec import decode_events
from tracelake.storage.damage import why_unreadable
from tracelake.storage.lock import sealer_lock
from tracelake.storage.options import file_system, storage_options
from tracelake.storage.rewrite import rewrite
from tracelake.storage.segment import list_segments, read_segment
from tracelake.storage.table import DeltaStore
from tracelake.storage.xlog import SUFFIX, CorruptRecord, read_records

if TYPE_CHECKING:
    from tracelake.config import Location
    from tracelake.storage.table import Snapshot

#: Kinds of problems that a file can be taken out of the way for.
_MOVED = frozenset({"damaged", "alien"})
#: A file with a name of ours that no commit names may be in the making for this long.
_IN_THE_MAKING_S = 900.0


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong.

    Attributes:
        path: The file, relative to the lake where it lies in it.
        kind: `damaged` (a live file that is not whole), `alien` (a file nobody committed), `log`
            (a commit that is not whole: what it added or removed is not known) or `hot` (a damaged
            segment, or a carry that is damaged or missing).
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
        committed, torn = _read_log(store)
        problems += torn
        try:
            snapshot = snapshots[name] = store.snapshot()
        except SchemaTooNew:
            raise
        except LakeError as error:
            if not torn:
                problems.append(Problem(name, f"{name}/_delta_log", "log", str(error)))
            continue
        for file in (*snapshot.files, *snapshot.damaged):
            count += 1
            reason = why_unreadable(file, table, store.options)
            if reason is None:
                rows += file.rows
            else:
                problems.append(Problem(name, f"{name}/{file.path}", "damaged", reason))
        problems += _aliens(store, snapshot, committed)
    problems += _hot_problems(location, snapshots)
    return VerifyReport(count, rows, tuple(problems))


def quarantine(location: Location, report: VerifyReport) -> list[str]:
    """Move the damaged and alien files of a report to `LAKE/quarantine` and out of the tables.

    Readers leave such files out anyway; this helps the tools that read the tables themselves.

    Returns:
        Where the files are now: paths or URIs.

    Raises:
        LakeLocked: Another process is changing the tables.
    """
    moved: list[str] = []
    system, root = file_system(location.tables, storage_options(location))
    with sealer_lock(location.hot):
        for name, table in TABLES.items():
            bad = [p for p in report.problems if p.table == name and p.kind in _MOVED]
            if not bad:
                continue
            store = DeltaStore(location.tables, table, storage_options(location))
            snapshot = store.snapshot()
            paths = {problem.path for problem in bad}
            live = [f for f in (*snapshot.files, *snapshot.damaged) if f"{name}/{f.path}" in paths]
            if live:
                rewrite(store, snapshot, live, [], {})
            for path in sorted(paths):
                if system.get_file_info(f"{root}/{path}").is_file:
                    target = f"quarantine/{path}"
                    if store.is_local:
                        Path(root, target).parent.mkdir(parents=True, exist_ok=True)
                    system.move(f"{root}/{path}", f"{root}/{target}")
                    moved.append(f"{location.tables}/{target}")
    return moved


def _read_log(store: DeltaStore) -> tuple[set[str], list[Problem]]:
    """Every file that a commit speaks of, and the commits that are not whole."""
    name = store.table.name
    system, root = file_system(f"{store.uri}/_delta_log", store.options)
    known: set[str] = set()
    torn: list[Problem] = []
    for info in system.get_file_info(FileSelector(root, allow_not_found=True)):
        if not info.is_file or info.extension != "json":
            continue
        try:
            with system.open_input_stream(info.path) as commit:
                actions = [orjson.loads(line) for line in commit.read().splitlines()]
        except FileNotFoundError:  # the log was cleaned up meanwhile
            continue
        except orjson.JSONDecodeError:
            actions = []
        if not actions:  # an empty one would pass for a commit of nothing
            reason = "the commit is not whole"
            torn.append(Problem(name, f"{name}/_delta_log/{info.base_name}", "log", reason))
        known |= {a[kind]["path"] for a in actions for kind in ("add", "remove") if kind in a}
    return known, torn


def _aliens(store: DeltaStore, snapshot: Snapshot, committed: set[str]) -> list[Problem]:
    known = committed | {file.path for file in (*snapshot.files, *snapshot.damaged)}
    system, root = file_system(store.uri, store.options)
    found = system.get_file_info(FileSelector(root, allow_not_found=True, recursive=True))
    present = {info.path[len(root) + 1 :]: info for info in found if info.is_file}
    name = store.table.name
    aliens: list[Problem] = []
    for path, info in sorted(present.items()):
        if path in known or path.startswith("_delta_log/") or info.extension != "parquet":
            continue
        young = time.time() - info.mtime.timestamp() < _IN_THE_MAKING_S
        if not (young and info.base_name.startswith("part-")):
            aliens.append(Problem(name, f"{name}/{path}", "alien", "no commit names it"))
    return aliens


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
        if table not in snapshots:
            continue
        number = snapshots[table].offset(key)
        path = carry_path(location.hot, number, suffix)
        reason = why_no_carry(path, key) if number else None
        if reason is not None:
            found.append(Problem(table, f"hot/{path.name}", "hot", reason))
    return found
