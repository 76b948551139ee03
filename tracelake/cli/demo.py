"""`demo`: a multi-agent program recorded while it runs, with no key and no network."""

from __future__ import annotations

def register(commands) -> None: ...
