"""Taking a draft to another provider's format and back. Pure.

Invariant: coming back, what was not edited in between is exactly as it was, also what the other
format could not hold.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import TYPE_CHECKING, Any

from tracelake.playground.draft import PROVIDER_OF, Draft, draft_of_body
from tracelake.playground.fields import as_list
from tracelake.playground.provider import sdk_of
from tracelake.wire import conversation
from tracelake.wire.conversion import convert

if TYPE_CHECKING:
    from tracelake.playground.draft import DraftApi

#: Models that are asked for where the recorded one is another provider's.
DEFAULT_MODEL: dict[str, str] = {"anthropic": "claude-sonnet-4-5", "openai": "gpt-5-mini"}


@dataclass(frozen=True, slots=True)
class Switched:
    """A draft in another format.

    Attributes:
        draft: As it would be sent.
        lost: What the format has no place for, as phrases.
        changed: What goes along in another form, as phrases.
    """

    draft: Draft
    lost: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()


def switched(draft: Draft, wanted: DraftApi, *, model: str | None = None) -> Switched:
    """The draft as a call of another format.

    Args:
        draft: In any format; it is not changed.
        wanted: The format to write; its own gives the draft as it is.
        model: To ask for; by default the draft's own where the provider stays the same, else one
            of the other provider's.
    """
    if draft.api == wanted:
        return Switched(draft)
    converted = convert(draft.body(), draft.api, wanted)
    stays = sdk_of(draft.api) == sdk_of(wanted)
    chosen = model or (draft.model if stays else DEFAULT_MODEL[sdk_of(wanted)])
    body = {**converted.body, "model": chosen}
    provider = draft.provider if stays else PROVIDER_OF[wanted]
    return Switched(draft_of_body(wanted, provider, body), converted.lost, converted.changed)


def returned(left: Draft, entered: Draft, edited: Draft) -> Draft:
    """The draft on the way back to the format that it was left in.

    Args:
        left: As it was when its format was left.
        entered: What `switched` made of it then.
        edited: What has become of that since; of the same format.
    """
    if edited == entered:
        return left
    before = switched(entered, left.api, model=left.model).draft
    after = switched(edited, left.api, model=left.model).draft
    values: dict[str, Any] = {
        name: getattr(after, name)
        for name in ("system", "tools")
        if getattr(after, name) != getattr(before, name)
    }
    names = {**before.parameters, **after.parameters}
    draft = left.edited(messages=_messages(left, before, after), **values)
    for name in names:
        if before.parameters.get(name) != after.parameters.get(name):
            draft = draft.with_parameter(name, after.parameters.get(name))
    return draft


def _messages(left: Draft, before: Draft, after: Draft) -> Any:
    """The messages after the edit, those untouched by it as they were left."""
    if before.messages == after.messages:
        return left.messages
    api = left.api
    native, old, new = (as_list(api, draft.messages) for draft in (left, before, after))
    origin = _origins(api, native, old)
    found: list[Any] = []
    edits = SequenceMatcher(None, _dumped(old), _dumped(new), autojunk=False).get_opcodes()
    for kind, start, end, new_start, new_end in edits:
        if kind != "equal":
            found += new[new_start:new_end]
            continue
        for place in range(start, end):
            found += origin.get(place, [old[place]])
    return found


def _origins(api: str, native: list[Any], old: list[Any]) -> dict[int, list[Any]]:
    """For each message that came back, the native one, with what could not go along before it."""
    told = [_told(api, message) for message in native]
    matcher = SequenceMatcher(None, told, [_told(api, message) for message in old], autojunk=False)
    found: dict[int, list[Any]] = {}
    for start, old_start, size in matcher.get_matching_blocks():
        for step in range(size):
            place = first = start + step
            while first and told[first - 1] == "[]":
                first -= 1
            found[old_start + step] = native[first : place + 1]
    return found


def _told(api: str, message: Any) -> str:
    """What a message says beside its thinking, as text to compare."""
    said = [
        (turn.role, part.kind, part.text, part.name, part.arguments, part.data or part.url)
        for turn in conversation(api, [message])
        for part in turn.parts
        if part.kind not in {"thinking", "other"}
    ]
    return json.dumps(said)


def _dumped(messages: list[Any]) -> list[str]:
    return [json.dumps(message, sort_keys=True) for message in messages]
