"""Trace Lake: a live debugger and a Parquet trace lake for multi-agent LLM programs.

Importing this package loads no data-frame library; the names below load on first use.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tracelake.instrumentation import instrument
    from tracelake.lake import Lake
    from tracelake.model import Event, Exchange
    from tracelake.tracer import Tracer

__all__ = ["Event", "Exchange", "Lake", "Tracer", "instrument"]

_HOME = {
    "Event": "tracelake.model",
    "Exchange": "tracelake.model",
    "Lake": "tracelake.lake",
    "Tracer": "tracelake.tracer",
    "instrument": "tracelake.instrumentation",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOME[name]), name)
