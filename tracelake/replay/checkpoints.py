"""Named places in a trace to fork from, kept with it, each with the edit that was made there.

Any span can be forked without one; a name is for coming back to it, and travels with the trace.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from tracelake.errors import ConfigError, NotInLake
from tracelake.model import new_id, to_iso, utc_now
from tracelake.replay.session import Edit
from tracelake.replay.source import call_to_fork, spans_of

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from tracelake.lake import Lake

NAME_MAX_CHARS = 120


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """One named place.

    Attributes:
        checkpoint_id: Id.
        span_id: The span, as it was chosen: a model call, a tool or an agent.
        name: Given by the user.
        start_time: When it was set, UTC.
        edit: What is changed there; None marks the place alone.
    """

    checkpoint_id: str
    trace_id: str
    span_id: str
    name: str
    start_time: datetime
    edit: Edit | None = None

    def to_json(self) -> dict[str, Any]:
        """For the command line and the HTTP API."""
        return {
            "checkpoint_id": self.checkpoint_id,
            "trace_id": self.trace_id,
            "span_id": self.span_id,
            "name": self.name,
            "set_at": to_iso(self.start_time),
            "edit": None if self.edit is None else _edit_json(self.edit),
        }


def set_checkpoint(
    lake: Lake, trace_id: str, span_id: str, name: str, edit: Edit | None = None
) -> Checkpoint:
    """Name a place in a trace.

    Raises:
        NotInLake: There is no such span.
        ConfigError: It cannot be forked, or the name is empty, too long or taken in this trace.
    """
    label = " ".join(name.split())
    if not label or len(label) > NAME_MAX_CHARS:
        raise ConfigError(f"name the checkpoint with 1 to {NAME_MAX_CHARS} characters")
    call_to_fork(spans_of(lake, trace_id), span_id)
    if any(one.name == label for one in checkpoints_of(lake, trace_id)):
        raise ConfigError(f"this trace has a checkpoint {label!r}: take another name")
    made = Checkpoint(new_id(), trace_id, span_id, label, utc_now(), edit)
    lake.write("checkpoints", [_row(made)])
    return made


def checkpoints_of(lake: Lake, trace_id: str | None = None) -> list[Checkpoint]:
    """The checkpoints of a trace (of all when None), oldest first."""
    rows = lake.answer(lambda: lake.records("checkpoints").collect())
    if trace_id is not None:
        rows = rows.filter(trace_id=trace_id)
    found = [_checkpoint(row) for row in rows.rows(named=True)]
    return sorted(found, key=lambda one: one.start_time)


def find_checkpoint(lake: Lake, wanted: str, trace_id: str | None = None) -> Checkpoint | None:
    """The checkpoint of that id or name; None where there is none.

    Raises:
        ConfigError: Several traces have one of that name.
    """
    listed = checkpoints_of(lake, trace_id)
    found = [one for one in listed if wanted in {one.checkpoint_id, one.name}]
    if len(found) > 1:
        raise ConfigError(
            f"{len(found)} traces have a checkpoint {wanted!r}: name one with --trace"
        )
    return found[0] if found else None


def remove_checkpoint(lake: Lake, wanted: str, trace_id: str | None = None) -> Checkpoint:
    """Take a checkpoint back, by its id or name.

    Raises:
        NotInLake: There is none.
    """
    found = find_checkpoint(lake, wanted, trace_id)
    if found is None:
        raise NotInLake(f"no checkpoint {wanted!r}: `tracelake checkpoints` lists them")
    lake.write("checkpoints", [{**_row(found), "start_time": utc_now(), "deleted": True}])
    return found


def _row(checkpoint: Checkpoint) -> dict[str, Any]:
    return {
        "checkpoint_id": checkpoint.checkpoint_id,
        "trace_id": checkpoint.trace_id,
        "span_id": checkpoint.span_id,
        "name": checkpoint.name,
        "start_time": checkpoint.start_time,
        "edit": None if checkpoint.edit is None else _edit_json(checkpoint.edit),
        "deleted": False,
    }


def _checkpoint(row: Mapping[str, Any]) -> Checkpoint:
    edit = json.loads(row["edit"] or "null")
    return Checkpoint(
        row["checkpoint_id"],
        row["trace_id"],
        row["span_id"],
        row["name"],
        row["start_time"],
        None if edit is None else Edit(**edit),
    )


def _edit_json(edit: Edit) -> dict[str, Any]:
    return {key: value for key, value in asdict(edit).items() if value is not None}
