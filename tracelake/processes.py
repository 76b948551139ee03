"""This process: what it is called, and how a long-running one tells and is told."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType


def stop_on_signals() -> threading.Event:
    """An event that SIGTERM and SIGINT set from now on."""
    stopping = threading.Event()

    def stop(_number: int, _frame: FrameType | None) -> None:
        stopping.set()

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    return stopping


def when_parent_ends(action: Callable[[], object], *, every_s: float = 1.0) -> None:
    """Call `action` once, in a thread, when the process that started this one is gone.

    However the parent died, `kill -9` included; noticed within `every_s`.
    """
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(every_s)
        action()

    threading.Thread(target=watch, name="parent watch", daemon=True).start()


def tell_starter(line: bytes) -> bool:
    """Write one line to standard output; False when who started this process reads it no more."""
    try:
        sys.stdout.flush()
        os.write(sys.stdout.fileno(), line + b"\n")
    except BrokenPipeError:
        return False
    return True


def program_name() -> str:
    """What the running program is called: the file name of its script."""
    return Path(sys.argv[0]).name if sys.argv and sys.argv[0] else "program"
