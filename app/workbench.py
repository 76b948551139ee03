"""The playground's memory of one session: the call under edit and its tests.

A workbench belongs to one recorded span, or to a call from scratch; leaving the page and coming
back finds it as it was left.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from app import data, service, state
from tracelake.playground.draft import PLAIN_PARAMETERS, Draft, changes, draft_of, scratch
from tracelake.playground.drafts import Edits
from tracelake.playground.fields import (
    Field,
    as_list,
    fields_of,
    from_json,
    new_message,
    with_field,
)
from tracelake.playground.provider import headers_to_repeat, sdk_of
from tracelake.playground.record import Origin
from tracelake.playground.switching import DEFAULT_MODEL, Switched, returned, switched
from tracelake.playground.trial import Trial
from tracelake.playground.variables import filled, names_of
from tracelake.redaction import redacting

if TYPE_CHECKING:
    from tracelake.playground.draft import DraftApi
    from tracelake.playground.provider import Target

VARIANTS_MAX = 8


@dataclass(frozen=True, slots=True)
class Step:
    """One change to another format.

    Attributes:
        left: The draft as it stood then.
        left_base: What its edits were counted from.
        entered: What it became.
    """

    left: Draft
    left_base: Draft
    entered: Switched


@dataclass(slots=True)
class Workbench:
    """A call under edit.

    Attributes:
        span: The recorded span, None for a call from scratch.
        original: As it was recorded, or empty.
        draft: As it stands now.
        base: The original in the format of the draft: what edits are counted from.
        trail: The changes of format that led from the original's to the draft's.
        revision: Rises when the editors must show other values than those typed into them.
        trials: The tests of this session, oldest first.
        round_size: How many tests the latest round has.
        first_shown: Number of the first test of the latest round, None before the first.
        is_submitted: Whether a test was asked for from within an editor.
        values: What to put in the place of `{{variables}}`, by name.
        headers: Request headers of the recorded call that are sent again to its format.
        drawn: What the page shows of the draft outside of the editors; None while it is drawn.
        is_code_shown: Whether the page shows the whole call as code.
    """

    span: dict[str, Any] | None
    original: Draft
    draft: Draft
    base: Draft
    trail: list[Step] = field(default_factory=list[Step])
    revision: int = 0
    trials: list[Trial] = field(default_factory=list[Trial])
    round_size: int = 0
    first_shown: int | None = None
    is_submitted: bool = False
    values: dict[str, str] = field(default_factory=dict[str, str])
    headers: dict[str, str] = field(default_factory=dict[str, str])
    drawn: tuple[object, ...] | None = None
    is_code_shown: bool = False
    _pieces: dict[int, tuple[Field, ...]] = field(default_factory=dict[int, tuple[Field, ...]])

    @property
    def stamp(self) -> str:
        """Names what the editors must show: another call or another revision, another stamp."""
        name = self.span["span_id"] if self.span else self.original.api
        return f"{name}-{self.revision}"

    @property
    def edits(self) -> tuple[str, ...]:
        """Names of what was edited."""
        return changes(self.base, self.draft)

    @property
    def is_edited(self) -> bool:
        """Whether anything differs from the original, the format and variables' values too."""
        filled = any(self.values.values()) and any(self.values.get(v) for v in self.variables)
        return bool(self.edits or self.trail or filled)

    @property
    def kept(self) -> Edits:
        """All that `restore` needs."""
        left = (step.left for step in self.trail)
        values = {name: value for name, value in self.values.items() if value}
        return Edits((*left, self.draft), values)

    @property
    def lost(self) -> tuple[str, ...]:
        """What the draft's format has no place for, as phrases."""
        return tuple(dict.fromkeys(what for step in self.trail for what in step.entered.lost))

    @property
    def changed(self) -> tuple[str, ...]:
        """What the draft's format holds in another form, as phrases."""
        return tuple(dict.fromkeys(what for step in self.trail for what in step.entered.changed))

    @property
    def variables(self) -> tuple[str, ...]:
        """Names of the variables of the draft, in order."""
        return names_of(self.draft)

    @property
    def headers_to_send(self) -> dict[str, str]:
        """Recorded headers that mean something to the provider that the draft goes to."""
        is_same = sdk_of(self.draft.api) == sdk_of(self.original.api)
        return self.headers if is_same else {}

    @property
    def shown_elsewhere(self) -> tuple[object, ...]:
        """What the page shows of the draft outside of the editors."""
        messages = as_list(self.draft.api, self.draft.messages)
        edited = tuple(n for n in range(len(messages)) if self.is_message_edited(n))
        code = self.draft if self.is_code_shown else None
        return self.edits, edited, self.variables, self.revision, self.is_submitted, code

    @property
    def is_outdated(self) -> bool:
        """Whether the page would show something else outside of the editors than it does."""
        return self.drawn is not None and self.drawn != self.shown_elsewhere

    @property
    def is_running(self) -> bool:
        """Whether a test is under way."""
        return any(trial.outcome().is_running for trial in self.trials)

    def edit_system(self, text: str) -> None:
        """Take the system prompt from its editor, which shows it already."""
        self.draft = self.draft.edited(system=text)

    def edit_tools(self, text: str) -> None:
        """Take the tool definitions from their editor.

        Raises:
            ValueError: The text is no JSON list; says why.
        """
        value = from_json(text, "tools", kind=list)
        # an emptied list is sent as no key at all, which every provider takes
        self.draft = self.draft.edited(
            tools=value or (None if self.base.tools else self.base.tools)
        )

    def edit_other_parameters(self, text: str) -> None:
        """Take the parameters without a control of their own from their editor.

        Raises:
            ValueError: The text is no JSON object, or names what has a control; says why.
        """
        value = from_json(text, "parameters", kind=dict)
        if twice := next((name for name in value if name in PLAIN_PARAMETERS), None):
            raise ValueError(f"{twice} has a field of its own, beside the model")
        plain = {k: v for k, v in self.draft.parameters.items() if k in PLAIN_PARAMETERS}
        self.draft = self.draft.edited(parameters={**plain, **value})

    def submit(self) -> None:
        """Ask for a test; the page sends it once every editor has given its text."""
        self.is_submitted = True

    def replace(self, draft: Draft) -> None:
        """Take a draft that the editors do not show yet."""
        self.draft = draft
        self.revision += 1
        self._pieces.clear()

    def take(self, draft: Draft) -> None:
        """Go on from another draft, such as that of an earlier test."""
        self.switch(draft.api)
        self.replace(draft)

    def switch(self, wanted: DraftApi) -> None:
        """Take the draft to another format, or back to one that it came from.

        Coming back, what was not edited in between is exactly as it was.
        """
        while self.draft.api != wanted and any(step.left.api == wanted for step in self.trail):
            step = self.trail.pop()
            self.base = step.left_base
            self.replace(returned(step.left, step.entered.draft, self.draft))
        if self.draft.api == wanted:
            return
        entered = switched(self.draft, wanted)
        self.trail.append(Step(self.draft, self.base, entered))
        self.base = switched(self.base, wanted, model=entered.draft.model).draft
        self.replace(entered.draft)

    def recorded_as(self, api: DraftApi) -> Draft | None:
        """The recorded call in a format; None for a call from scratch."""
        if self.span is None:
            return None
        return self.base if self.draft.api == api else switched(self.original, api).draft

    def reset(self) -> None:
        """Take every edit back, a change of format and what variables stand for too."""
        self.trail.clear()
        self.values.clear()
        self.base = self.original
        self.replace(self.original)

    def restore(self, edits: Edits) -> None:
        """Take edits that were kept, format by format as they came about."""
        self.reset()
        for draft in edits.drafts:
            self.take(draft)
        self.values.update(edits.values)

    def reset_part(self, name: str) -> None:
        """Take the edits of the system prompt, the messages or the tools back."""
        self.replace(self.draft.edited(**{name: getattr(self.base, name)}))

    def reset_parameter(self, name: str) -> None:
        """Take the edit of one parameter back."""
        self.replace(self.draft.with_parameter(name, self.base.parameters.get(name)))

    def reset_message(self, index: int) -> None:
        """Take the edits of one message back."""
        messages = as_list(self.draft.api, self.draft.messages)
        messages[index] = as_list(self.base.api, self.base.messages)[index]
        self.replace(self.draft.edited(messages=messages))

    def is_message_edited(self, index: int) -> bool:
        """Whether one message differs from the recorded one in its place; no, when moved about."""
        now = as_list(self.draft.api, self.draft.messages)
        before = as_list(self.base.api, self.base.messages)
        return len(now) == len(before) and now[index] != before[index]

    def pieces(self, index: int) -> tuple[Field, ...]:
        """The pieces of one message, the same ones until the editors must show other values.

        An edit may change what a message would be taken apart into; its editors stay.
        """
        message = as_list(self.draft.api, self.draft.messages)[index]
        known = self._pieces.get(index) or fields_of(message)
        self._pieces[index] = tuple(piece.of(message) for piece in known)
        return self._pieces[index]

    def edit_field(self, index: int, piece: Field, value: str) -> None:
        """Take one piece of one message from its editor.

        Raises:
            ValueError: The piece is JSON and the value is none.
        """
        if isinstance(self.draft.messages, str):
            self.draft = self.draft.edited(messages=value)
            return
        messages = list(self.draft.messages)
        messages[index] = with_field(messages[index], piece.of(messages[index]), value)
        self.draft = self.draft.edited(messages=messages)

    def add_message(self, role: str = "user") -> None:
        """Add an empty message at the end."""
        messages = as_list(self.draft.api, self.draft.messages)
        added = new_message(self.draft.api, role)
        self.replace(self.draft.edited(messages=[*messages, added]))

    def remove_message(self, index: int) -> None:
        """Take one message out."""
        messages = as_list(self.draft.api, self.draft.messages)
        self.replace(self.draft.edited(messages=messages[:index] + messages[index + 1 :]))

    def move_message(self, index: int, by: int) -> None:
        """Move one message up (-1) or down (1)."""
        messages = as_list(self.draft.api, self.draft.messages)
        other = index + by
        if 0 <= other < len(messages):
            messages[index], messages[other] = messages[other], messages[index]
            self.replace(self.draft.edited(messages=messages))

    def set_role(self, index: int, role: str) -> None:
        """Give one message another role."""
        messages = as_list(self.draft.api, self.draft.messages)
        if messages[index].get("role") != role:
            messages[index] = {**messages[index], "role": role}
            self.replace(self.draft.edited(messages=messages))

    def test(self, target: Target, variants: int) -> None:
        """Send the draft, so many times at once.

        Raises:
            ConfigError: What is to be redacted cannot be told; nothing is sent.
        """
        origin = None
        if self.span is not None:
            name = self.span["agent_name"] or self.span["model"] or "call"
            origin = Origin(self.span["trace_id"], self.span["span_id"], name)
        values = {name: self.values[name] for name in self.variables if self.values.get(name)}
        draft = filled(self.draft, values)
        target = replace(target, headers=self.headers_to_send)
        append = redacting(service.lake().append, service.location())
        self.round_size = min(variants, VARIANTS_MAX)
        for _ in range(self.round_size):
            trial = Trial(draft, target, origin=origin, append=append, variables=values)
            self.trials.append(trial.start())

    def cancel(self) -> None:
        """Hang up on every test under way."""
        for trial in self.trials:
            if trial.outcome().is_running:
                trial.cancel()


def of_span(trace_id: str, span_id: str) -> Workbench:
    """The workbench of a recorded span, the same for the whole session.

    Raises:
        NotInLake: There is no such span.
        QueryError: It is no call that can be edited.
    """

    def make() -> Workbench:
        span = data.read_span(trace_id, span_id)
        draft = draft_of(span)
        headers = headers_to_repeat(data.request_headers(span_id))
        return Workbench(span=span, original=draft, draft=draft, base=draft, headers=headers)

    bench: Workbench = state.remember(f"_workbench {trace_id} {span_id}", make)
    if bench.span is not None and bench.span["status"] == "running":
        # opened while the call was in flight: its answer may be there by now
        bench.span = data.read_span(trace_id, span_id)
    return bench


def of_scratch(api: DraftApi) -> Workbench:
    """The workbench of a call from scratch.

    Args:
        api: Format of a new one; a prompt that is there already is taken to it.
    """

    def make() -> Workbench:
        draft = scratch(api, model=DEFAULT_MODEL[sdk_of(api)])
        return Workbench(span=None, original=draft, draft=draft, base=draft)

    bench: Workbench = state.remember("_workbench new", make)
    bench.switch(api)
    return bench
