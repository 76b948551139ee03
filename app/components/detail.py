"""The buttons of the detail panel, and its text where no WebSocket brings it."""

from __future__ import annotations

from typing import Any, Final

from app import hub, navigation, state

_DOCUMENT = "_live_document"
#: Buttons of the panel; each leads to the page of its name.
_ACTIONS: Final = ("playground", "replay")


def actions() -> list[str]:
    """The buttons whose page exists."""
    return [page for page in _ACTIONS if navigation.is_listed(page)]


def follow_action(trace_id: str, asked: tuple[str, str] | None) -> None:
    """Go to the page a button leads to, with its span; does not return then."""
    if asked is not None and asked[0] in _ACTIONS:
        page, span_id = asked
        navigation.go(page, trace=trace_id, span=span_id)


def read_document(trace_id: str, span_id: str) -> dict[str, Any] | None:
    """The span with its bodies; the lake is asked again only when the span changed."""
    running = hub.current()
    wanted = (trace_id, span_id, running.watch(trace_id).summary(span_id))
    known = state.get(_DOCUMENT)
    if known is not None and known[0] == wanted:
        return known[1]
    document = running.document(trace_id, span_id)
    state.put(_DOCUMENT, (wanted, document))
    return document
