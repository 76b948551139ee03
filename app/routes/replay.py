"""`POST /api/replay/{span_id}` and `GET /api/replay/{run_id}`: forks for scripts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from app import forks, service
from tracelake.errors import NotInLake, QueryError
from tracelake.replay.checkpoints import find_checkpoint
from tracelake.replay.plan import ForkRequest
from tracelake.replay.session import Edit
from tracelake.replay.source import find_trace_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tracelake.replay.fork import ForkState

WAIT_MAX_S = 600.0
_KEYS = frozenset(
    {
        "trace_id",
        "response",
        "request",
        "offline",
        "copy",
        "pace",
        "wait_s",
        "dry_run",
        "checkpoint",
    }
)
_COPIES = (None, "git", "copy", "present", "in_place")
_PACES = ("fastest", "recorded")


def replay(span_id: str, wish: Mapping[str, Any]) -> dict[str, Any]:
    """Fork a recorded run at a span.

    Args:
        span_id: A model call, an agent for its last answer, a tool for its result, or the name or
            id of a checkpoint, which brings its own edit.
        wish: `response` (text, or a whole body as an object) or `request` (a whole body), at most
            one; `trace_id` where several traces have the span; `offline` (true ends the replay at
            the first call without a recording); `copy` (`git`, `copy`, `present`, `in_place`);
            `pace` (`fastest`, `recorded`); `wait_s` (answer when it is over, or after this long);
            `dry_run` (only say what would be done); `checkpoint` (a name: only keep the place and
            the edit under it).

    Returns:
        `plan` (what runs again, and where) and, unless it is a dry run, `fork` as `fork_state`
        gives it; `comparison` with the original once it is over. `checkpoint` alone where one was
        set.

    Raises:
        NotInLake: There is no such span.
        QueryError: The wish is not understood.
        TraceLakeError: The run cannot be run again; the message says why.
    """
    if unknown := sorted(set(wish) - _KEYS):
        raise QueryError(f"unknown key {unknown[0]!r}: use {', '.join(sorted(_KEYS))}")
    checkpoint = find_checkpoint(service.lake(), span_id, _text(wish, "trace_id"))
    if checkpoint is not None:
        trace_id, span_id = checkpoint.trace_id, checkpoint.span_id
    else:
        trace_id = find_trace_of(service.lake(), span_id, _text(wish, "trace_id"))
    edit = _edit(wish)
    if (name := _text(wish, "checkpoint")) is not None:
        made = forks.set_checkpoint(trace_id, span_id, name, edit)
        return {"checkpoint": made.to_json()}
    if wish.get("copy") not in _COPIES or wish.get("pace", "fastest") not in _PACES:
        raise QueryError("copy is git, copy, present or in_place; pace is fastest or recorded")
    request = ForkRequest(
        trace_id,
        span_id,
        edit or (checkpoint.edit if checkpoint else None),
        allow_live=not wish.get("offline"),
        copy=wish.get("copy"),
        pace=wish.get("pace", "fastest"),
    )
    plan = forks.plan(request)
    if wish.get("dry_run"):
        return {"plan": plan.to_json()}
    fork = forks.start(plan)
    wait_s = wish.get("wait_s") or 0
    if not isinstance(wait_s, int | float) or not 0 <= wait_s <= WAIT_MAX_S:
        raise QueryError(f"wait_s is a number of seconds up to {WAIT_MAX_S:.0f}")
    state = fork.wait_up_to(float(wait_s))
    return {"plan": plan.to_json(), **_told(trace_id, state)}


def fork_state(run_id: str) -> dict[str, Any]:
    """How far a fork is, and once it is over its comparison with the original.

    Raises:
        NotInLake: There is no such fork.
    """
    state, origin = forks.state_of(run_id), forks.origin_of(run_id)
    if state is None:
        raise NotInLake(f"no fork {run_id!r} in this lake")
    return _told(origin, state)


def _told(origin: str | None, state: ForkState) -> dict[str, Any]:
    told: dict[str, Any] = {
        "fork": {
            "trace_id": state.run_id,
            "forked_from_trace_id": origin,
            "status": state.status,
            "error": state.error,
            "counts": state.counts,
            "calls": state.calls,
            "files": state.result.get("files") or [],
            "tools": state.result.get("tools") or [],
        }
    }
    if state.is_over and origin is not None:
        comparison = forks.compared(origin, state.run_id)
        told["comparison"] = None if comparison is None else comparison.to_json()
    return told


def _edit(wish: Mapping[str, Any]) -> Edit | None:
    response, request = wish.get("response"), wish.get("request")
    if response is not None and request is not None:
        raise QueryError("give either response or request, not both")
    if isinstance(response, str):
        return Edit(response_text=response)
    if isinstance(response, dict):
        return Edit(response_body=response)
    if isinstance(request, dict):
        return Edit(request_body=request)
    if response is None and request is None:
        return None
    raise QueryError("response is text or an object, request is an object")


def _text(wish: Mapping[str, Any], name: str) -> str | None:
    value = wish.get(name)
    if value is not None and not isinstance(value, str):
        raise QueryError(f"{name} is text")
    return value
