"""How our long-running processes are told to stop."""

from __future__ import annotations

import os
import signal
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import FrameType


def stop_on_signals() -> threading.Event:
    """An event that SIGTERM and SIGINT set from now on."""
    stopping = threading.Event()

    def stop(_number: int, _frame: FrameType | None) -> None:
        stopping.set()

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    return stopping


def stop_with_parent(stopping: threading.Event, *, every_s: float = 1.0) -> None:
    """Set the event when the process that started this one is gone, however it died."""
    parent = os.getppid()

    def watch() -> None:
        while not stopping.wait(every_s):
            if os.getppid() != parent:
                stopping.set()

    threading.Thread(target=watch, name="parent watch", daemon=True).start()
