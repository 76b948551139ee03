"""Who seals into a set of tables: each hot folder under a name of its own.

    carry_key(location) -> application id under which the folder's carry is committed
    claim_hot(location, spans, traces, exchanges, new_id) -> the same, made at the first seal

Several hosts may share one set of tables, and a lake may be copied without its hot folder: what a
commit says of a carry counts only for the hot folder of that name.

Invariants:
- The name is in the folder before the first commit under it, and is never changed or removed: a
  folder without a name, or with another, was certainly not what a commit speaks of. No file that
  comes and goes is asked.
- Whoever joins tables that others sealed first rolls up what they did not come to.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from tracelake.storage import cold, files
from tracelake.storage.carry import OLD_KEY, carry_path
from tracelake.storage.derive import derive_traces
from tracelake.storage.xlog import SUFFIX

if TYPE_CHECKING:
    from tracelake.config import Location
    from tracelake.storage.table import DeltaStore, Snapshot

_ID_FILE = ".id"
#: Key, and name, of the hot folder beside local tables of a lake from before folders had names.
_OLD = OLD_KEY
_NAMELESS = "carry:unsealed"


def carry_key(location: Location) -> str:
    """The application id under which a hot folder's carry is committed.

    Of a snapshot that is there already: a folder gets its name before the first commit under it.
    """
    found = files.read_or_none(location.hot / _ID_FILE)
    if found:
        return _key_of(found.decode().strip())
    return _OLD if _is_beside(location) and location.hot.is_dir() else _NAMELESS


def claim_hot(
    location: Location, spans: DeltaStore, traces: DeltaStore, exchanges: DeltaStore, new_id: str
) -> str:
    """As `carry_key`, giving the folder its name when it has none; the sealer's lock is held."""
    if files.read_or_none(location.hot / _ID_FILE) is None:
        name = new_id
        if _is_beside(location) and (
            _holds_carry(location, spans, ".jsonl") or _holds_carry(location, exchanges, SUFFIX)
        ):
            name = _OLD
        else:
            _join(spans.snapshot(), traces, _key_of(name))
        files.atomic_write(location.hot / _ID_FILE, name.encode())
    return carry_key(location)


def _join(spans: Snapshot, traces: DeltaStore, key: str) -> None:
    """Roll up what whoever sealed before did not come to, and begin from there."""
    if spans.version < 0:
        return
    nothing = cold.current(spans, ()).collect()
    derive_traces(traces, key, spans, _out_of_date(spans, traces.snapshot()), nothing)


def _out_of_date(spans: Snapshot, traces: Snapshot) -> set[str]:
    """Traces whose roll-up is missing, or counts other spans than there are."""
    there = cold.current(spans).group_by("trace_id").agg(there=pl.len().cast(pl.Int64))
    known = traces.scan().select("trace_id", "span_count")
    found = there.join(known, on="trace_id", how="left").filter(
        pl.col("there").ne_missing(pl.col("span_count"))
    )
    return set(found.select("trace_id").collect()["trace_id"])


def _holds_carry(location: Location, store: DeltaStore, suffix: str) -> bool:
    """Whether the folder is the one that an old lake's newest commit speaks of.

    Nobody removes that commit's carry while the lock is held.
    """
    number = store.snapshot().offset(_OLD)
    return bool(number) and carry_path(location.hot, number, suffix).exists()


def _is_beside(location: Location) -> bool:
    return location.is_local and str(location.hot.parent) == location.tables


def _key_of(name: str) -> str:
    return _OLD if name == _OLD else f"carry:{name}"
