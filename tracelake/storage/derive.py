"""Keeping `traces` in step with `spans`: which roll-ups a seal has to write anew.

    lagging_traces(store, spans, traces, key) -> traces whose roll-up is older than their spans
    derive_traces(store, key, spans, lagging, added) -> number of roll-ups written

Invariants:
- `traces` holds one row per trace, one file per day; a touched day is written anew in one commit.
- The commit says which commit of `spans` it was derived from, so that a sealer that died between
  the two is made good by the next one, and readers know meanwhile.
- Of two sealers that derived from one version of `traces` the later starts over, also where neither
  removed a file: a trace may be rolled up by the host that sealed it and by one that joins.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import polars as pl
from deltalake.exceptions import CommitFailedError

from tracelake.storage import cold
from tracelake.storage.rewrite import append, rewrite
from tracelake.storage.rollup import NEEDED, roll_up
from tracelake.storage.table import scan_files

if TYPE_CHECKING:
    from datetime import date

    from tracelake.storage.cold import Days
    from tracelake.storage.table import DeltaStore, Snapshot

log = logging.getLogger(__name__)

#: Application whose offset every commit of roll-ups raises, so that no two rest on one version.
_TURN = "roll-ups"
#: Sealers of several hosts may meet on a day; each attempt starts from what is there then.
_ATTEMPTS = 10


def lagging_traces(store: DeltaStore, spans: Snapshot, traces: Snapshot, key: str) -> set[str]:
    """Traces with spans that were sealed after their roll-up was derived.

    `traces` says which commit of `spans` it was derived from; a sealer that died between the two
    commits leaves it behind until the next seal.
    """
    if traces.offset(key) >= spans.offset(key):
        return set()
    derived = traces.offset(f"{key}.version")
    try:
        before = {file.path for file in store.at(derived).files} if traces.version >= 0 else set()
    except Exception:  # noqa: BLE001 - deltalake raises its own kinds: the log no longer reaches back
        before = set[str]()
    added = [file for file in spans.files if file.path not in before]
    found = scan_files(spans.table, added, spans.options).select(pl.col("trace_id").unique())
    return set(found.collect()["trace_id"])


def derive_traces(
    store: DeltaStore, key: str, spans: Snapshot, lagging: set[str], added: pl.DataFrame
) -> int:
    """Bring roll-ups up to the given version of `spans`.

    Args:
        store: The table `traces`.
        key: Of the carry, under which it is committed how far the roll-ups are.
        spans: The version that is being rolled up.
        lagging: Traces whose roll-up an earlier sealer did not come to write.
        added: Rows that this seal added to `spans`.

    Raises:
        deltalake.exceptions.CommitFailedError: Other hosts wrote the same days all the time; the
            next seal tries again.
    """
    for _ in range(_ATTEMPTS - 1):
        try:
            return _derive(store, key, spans, lagging, added)
        except CommitFailedError as error:
            log.info("another host wrote the same roll-ups, trying again: %s", error)
    return _derive(store, key, spans, lagging, added)


def _derive(
    store: DeltaStore, key: str, spans: Snapshot, lagging: set[str], added: pl.DataFrame
) -> int:
    traces = store.snapshot()
    touched = {*added["trace_id"].unique(), *lagging}
    derived = {key: spans.offset(key), f"{key}.version": max(spans.version, 0)}
    if not touched:
        began = not derived[f"{key}.version"] or traces.offset(f"{key}.version")
        if spans.version >= 0 and (traces.offset(key) < derived[key] or not began):
            append(store, pl.DataFrame(schema=traces.scan().collect_schema()), derived)
        return 0
    known = cold.read_trace_days(traces, touched)
    fresh = roll_up(_spans_of(lagging, spans, known, added))
    dates: set[date] = set(fresh["date"]) | {first for first, _ in known.values()}
    replaced = [file for file in traces.files if file.date in dates]
    kept = traces.scan(replaced).filter(~pl.col("trace_id").is_in(sorted(touched))).collect()
    turn = {_TURN: traces.version + 1}
    rewrite(store, traces, replaced, [pl.concat([kept, fresh])], derived | turn)
    return fresh.height


def _spans_of(
    lagging: set[str],
    spans: Snapshot,
    known: dict[str, Days],
    added: pl.DataFrame,
) -> pl.DataFrame:
    """All sealed spans of the touched traces; of new traces without reading anything."""
    days: dict[str, Days | None] = {}
    came = added.group_by("trace_id").agg(first=pl.col("date").min(), last=pl.col("date").max())
    for trace_id, first, last in came.iter_rows():
        if trace_id in known:
            before = known[trace_id]
            days[trace_id] = (min(before[0], first), max(before[1], last))
    days.update(dict.fromkeys(lagging))
    new = added.filter(~pl.col("trace_id").is_in(sorted(days))).select(NEEDED)
    if not days:
        return new
    return pl.concat([cold.scan_traces(spans, days).select(NEEDED).collect(), new])
