"""Calls in a SQLite database, as Anton's proxy keeps them: `traces`, `llm_calls`, `call_graph`.

A call's `created_at` is its start, on the clock of its machine. The database knows no tools, nor
which agent delegated to which: `call_graph` is made for that and never filled.
"""

from __future__ import annotations

import functools
import json
import sqlite3
from contextlib import closing
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from tracelake.errors import ImportFailed
from tracelake.importers.calls import ROOT, Call, events_of
from tracelake.importers.interactions import PROVIDERS, sent
from tracelake.model import from_iso

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime
    from pathlib import Path

MAGIC = b"SQLite format 3\0"
_NEEDED = {"call_id", "trace_id", "created_at", "model", "messages", "response"}


def recognises(path: Path) -> bool:
    """Whether a database has such calls."""
    try:
        with closing(_opened(path)) as database:
            return bool(_columns(database, "llm_calls"))
    except sqlite3.Error:
        return False


def read(paths: Sequence[Path], _now: datetime) -> Iterator[tuple[str, dict[str, Any]]]:
    """A span for every call, then one for every agent.

    Raises:
        ImportFailed: The database is damaged, or has no such tables.
    """
    (path,) = paths
    return events_of(functools.partial(_calls, path))


def _calls(path: Path) -> Iterator[tuple[str, Call]]:
    try:
        with closing(_opened(path)) as database:
            _check(path, database)
            tasks = _tasks(database)
            for row in database.execute("SELECT * FROM llm_calls ORDER BY created_at, call_id"):
                where = f"call {row['call_id']}"
                try:
                    yield where, _call(dict(row), tasks)
                except (ValueError, TypeError, OverflowError) as error:
                    raise ImportFailed(f"{path}: {where}: {error}") from error
    except sqlite3.Error as error:
        raise ImportFailed(f"{path}: cannot be read as a database: {error}") from error


def _opened(path: Path) -> sqlite3.Connection:
    # read only: a database that a proxy writes at this moment is left alone
    database = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)
    database.row_factory = sqlite3.Row
    return database


def _columns(database: sqlite3.Connection, table: str) -> set[str]:
    return {
        row["name"] for row in database.execute("SELECT name FROM pragma_table_info(?)", (table,))
    }


def _check(path: Path, database: sqlite3.Connection) -> None:
    columns = _columns(database, "llm_calls")
    if missing := sorted(_NEEDED - columns):
        raise ImportFailed(f"{path} has no table llm_calls with {', '.join(missing)}")


def _tasks(database: sqlite3.Connection) -> dict[str, str | None]:
    if "task_id" not in _columns(database, "traces"):
        return {}
    return dict(database.execute("SELECT trace_id, task_id FROM traces").fetchall())


def _call(row: dict[str, Any], tasks: dict[str, str | None]) -> Call:
    start = from_iso(row["created_at"])
    duration_ms = row.get("duration_ms")
    error, response = row.get("error"), row["response"]
    is_over = response is not None or error is not None
    messages = json.loads(row["messages"])
    if not isinstance(messages, list):
        raise ValueError("messages is no list")  # noqa: TRY004 - a wrong file, not a wrong call
    provider = row.get("provider")
    columns = ("tokens_input", "tokens_output", "cost_usd", "finish_reason")
    return Call(
        key=row["call_id"],
        agent=row.get("agent_name") or ROOT,
        start=start,
        end=start + timedelta(milliseconds=duration_ms or 0),
        failed=error is not None,
        trace=row["trace_id"],
        session=tasks.get(row["trace_id"]),
        data={
            **({} if is_over else {"status": "lost"}),
            "provider": PROVIDERS.get(provider or "unknown", provider),
            "model": row["model"],
            "messages": sent(messages, response),
            "response": response,
            "error": error,
            "start_time": start,
            "duration_ms": duration_ms,
            **{name: row.get(name) for name in columns},
        },
    )
