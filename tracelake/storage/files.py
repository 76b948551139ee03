"""Durable small files and renames: the only module that calls `os.replace`.

Invariant: a reader sees either the old file or the whole new one. Names in the making begin with a
dot and end in `.tmp`, so that no glob for `*.parquet`, `*.jsonl` or `*.xlog` finds them.

    atomic_write(path, data)   replace a file by bytes, synced to the disk before it is visible
    replaced(path)             the same for what is written by degrees
    rename(source, target)     rename within a folder, replacing
    sync_file(path)            make what another library wrote survive a power loss
    sync_folder(folder)        make the names in a folder survive a power loss
    read_or_none(path)         bytes, None when the file does not exist
    remove(path)               delete, True when there was something to delete
"""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path


def atomic_write(path: Path, data: bytes, *, mode: int = 0o644) -> None:
    """Replace `path` by `data`: temporary file beside it, fsync, rename, fsync of the folder.

    `mode` are the permission bits, from the first byte on.
    """
    with replaced(path) as temporary:
        descriptor = os.open(temporary, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, mode)
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)


@contextmanager
def replaced(path: Path) -> Generator[Path]:
    """A file to write beside `path`, which takes its place if nothing goes wrong meanwhile."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        yield temporary
        sync_file(temporary)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def rename(source: Path, target: Path) -> None:
    """Rename within one file system, replacing the target."""
    source.replace(target)


def sync_file(path: Path | str) -> None:
    """Make the bytes of a file that another library wrote survive a power loss."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_folder(folder: Path) -> None:
    """Make the names in `folder` survive a power loss."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def read_or_none(path: Path) -> bytes | None:
    """The bytes of a file, None when it does not exist."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None


def remove(path: Path) -> bool:
    """Delete a file; False when it was already gone."""
    try:
        path.unlink()
    except FileNotFoundError:
        return False
    return True
