"""Reading the commits of a Delta table as the plain JSON lines they are.

offsets_between(log_folder, after, upto) -> {app_id: offset} of those commits, None if gone
removed_since(commits, system, moment) -> paths that commits after the moment removed
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import orjson

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from pyarrow.fs import FileInfo, FileSystem


def offsets_between(log_folder: Path, after: int, upto: int) -> dict[str, int] | None:
    """Application offsets that the commits `after < version <= upto` set, the last of each.

    Returns:
        None when a commit is no longer there: ask the table itself then.
    """
    offsets: dict[str, int] = {}
    for version in range(after + 1, upto + 1):
        try:
            lines = (log_folder / f"{version:020d}.json").read_bytes().splitlines()
        except FileNotFoundError:
            return None
        for line in lines:
            if b'"txn"' in line and (action := orjson.loads(line).get("txn")):
                offsets[action["appId"]] = action["version"]
    return offsets


def removed_since(commits: Iterable[FileInfo], system: FileSystem, moment: float) -> set[str]:
    """Files that commits after that moment removed.

    Args:
        commits: Files of the log, those of other kinds among them.
        system: Where they are read.
        moment: Seconds since 1970.
    """
    removed: set[str] = set()
    for commit in commits:
        if commit.extension != "json" or commit.mtime.timestamp() < moment:
            continue
        try:
            with system.open_input_stream(commit.path) as stream:
                lines = stream.read().splitlines()
        except FileNotFoundError:  # the log was cleaned up meanwhile
            continue
        for line in lines:
            if action := orjson.loads(line).get("remove"):
                removed.add(action["path"])
    return removed
