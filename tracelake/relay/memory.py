"""Memory given back to the system after a burst.

The C library keeps freed memory for later, so that a process stays as big as its busiest moment.
"""

from __future__ import annotations

import ctypes
import ctypes.util
import logging
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

_log = logging.getLogger(__name__)


def trimmer() -> Callable[[], None]:
    """What gives freed memory back; does nothing where the C library is not glibc."""
    try:
        trim = ctypes.CDLL(ctypes.util.find_library("c")).malloc_trim
    except (OSError, AttributeError):
        _log.debug("this C library has no malloc_trim")
        return lambda: None
    trim.argtypes = (ctypes.c_size_t,)

    def give_back() -> None:
        trim(0)

    return give_back
