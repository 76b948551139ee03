"""The right to change the tables from one hot folder, held by one process at a time.

The lock is the kernel's: it is free the moment its holder dies, however it dies.
"""

from __future__ import annotations

import fcntl
import os
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from tracelake.errors import LakeLocked

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

LOCK_TIMEOUT_S = 60.0
_POLL_S = 0.02


@contextmanager
def sealer_lock(hot: Path, timeout_s: float = LOCK_TIMEOUT_S) -> Generator[None]:
    """Hold the sealer's lock of a hot folder; sealing, compaction and deletion do.

    Raises:
        LakeLocked: Another process, or another thread of this one, held it all the time.
    """
    hot.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(hot / ".sealer.lock", os.O_CREAT | os.O_RDWR, 0o644)
    try:
        deadline = time.monotonic() + timeout_s
        while not _try(descriptor):
            if time.monotonic() >= deadline:
                raise LakeLocked(f"another process is sealing {hot}: try again later")
            time.sleep(_POLL_S)
        yield
    finally:
        os.close(descriptor)


def _try(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
