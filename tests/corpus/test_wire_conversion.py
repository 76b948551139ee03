"""Every recorded call as a call of the other formats: valid, nothing said is lost, and back."""

from __future__ import annotations

import copy
import itertools
import re
from typing import TYPE_CHECKING, Any

import pytest

from tests.corpus.cassettes import CASSETTES, Cassette, needs_corpus
from tests.corpus.sdk_types import problems
from tracelake.wire import Part, Turn, conversation, read_request
from tracelake.wire.conversion import convert
from tracelake.wire.lenient import mapping

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = needs_corpus

APIS: tuple[Any, ...] = ("messages", "chat", "responses")


_OF_THE_CLIENT = {"function_call", "custom_tool_call"}


def _convertible() -> list[tuple[Cassette, Any]]:
    found: list[tuple[Cassette, Any]] = []
    for cassette in CASSETTES:
        request = read_request(cassette.exchange())
        if request is not None and request.api in APIS and _is_well_formed(request.messages):
            found.append((cassette, request.api))
    return found


def _is_well_formed(messages: Any) -> bool:
    """Whether messages are of a form that any provider takes."""
    return isinstance(messages, str) or (
        isinstance(messages, list) and all(isinstance(message, dict) for message in messages)
    )


PAIRS = [
    pytest.param(cassette, source, wanted, id=f"{cassette.name}-{wanted}")
    for (cassette, source), wanted in itertools.product(_convertible(), APIS)
    if wanted != source
]


@pytest.mark.parametrize(("cassette", "source", "wanted"), PAIRS)
def test_a_converted_body_is_valid_by_the_types_of_its_sdk(
    cassette: Cassette, source: Any, wanted: Any
) -> None:
    """Whatever vendor a call was made for, its conversion breaks no type, and the given stays."""
    given = cassette.request_json
    # clouds name the model in the path; every SDK wants it in the body
    given |= {"model": given.get("model") or "a model"}
    before = copy.deepcopy(given)
    converted = convert(given, source, wanted)
    assert problems(wanted, converted.body) == []
    assert given == before


@pytest.mark.parametrize(("cassette", "source", "wanted"), PAIRS)
def test_there_and_back_keeps_what_was_said(cassette: Cassette, source: Any, wanted: Any) -> None:
    """Text, tool calls, results and images are the same there, and the same again back."""
    given = cassette.request_json
    there = convert(given, source, wanted).body
    back = convert(there, wanted, source).body
    assert _said(wanted, there) == _said(source, given)
    assert _said(source, back) == _said(source, given)
    assert _functions(back) == _functions(there)


@pytest.mark.parametrize(("cassette", "source", "wanted"), PAIRS)
def test_what_is_not_carried_over_is_named(cassette: Cassette, source: Any, wanted: Any) -> None:
    """A call with thinking, cache marks or tools of the provider says that they stayed behind."""
    told = " ".join(convert(cassette.request_json, source, wanted).lost)
    written = str(cassette.request_json.get("messages") or cassette.request_json.get("input"))
    if "'thinking'" in written or "'type': 'reasoning'" in written:
        assert "thinking" in told
    if "'cache_control'" in written:
        assert "cache marks" in told
    served = [tool for tool in cassette.request_json.get("tools") or [] if _is_served(tool)]
    used = list(_used(cassette.request_json.get("messages") or cassette.request_json.get("input")))
    assert ("tools that the provider runs" in told) == bool(served or used)


def _is_served(tool: dict[str, Any]) -> bool:
    return tool.get("type", "function") not in {"function", "custom"}


def _used(messages: Any) -> Iterator[str]:
    """Ids of the calls of tools that the provider ran itself, anywhere in messages or items."""
    for value in messages.values() if isinstance(messages, dict) else messages:
        if isinstance(value, dict | list):
            yield from _used(value)
    kind = str(messages.get("type")) if isinstance(messages, dict) else ""
    if kind.endswith(("_call", "_tool_use")) and kind not in _OF_THE_CLIENT:
        yield messages.get("call_id") or messages.get("id")


def _is_of_the_provider(part: Part, turn: Turn, messages: Any) -> bool:
    """Whether a tool result is of a tool of the provider: beside its call, or tools found."""
    is_beside = part.id in {other.id for other in turn.parts if other.kind == "tool_call"}
    return is_beside or messages[turn.index].get("type") == "tool_search_output"


def _said(api: str, body: dict[str, Any]) -> dict[str, Any]:
    """What a body says, whatever its format: texts by speaker, calls, results, images."""
    messages = body.get("input" if api == "responses" else "messages")
    system = body.get("system") if api == "messages" else body.get("instructions")
    said: dict[str, Any] = {"call": [], "result": [], "image": []}
    if isinstance(system, list):
        system = "\n\n".join(block["text"] for block in system)
    if system:
        said["system"] = _squeezed(system)
    served = set(_used(messages)) if isinstance(messages, list) else set()
    called: set[str | None] = set()
    for turn in conversation(api, messages):
        role = "system" if turn.role == "developer" else turn.role
        for part in turn.parts:
            if part.kind == "text" or (part.media and part.text):
                said[role] = said.get(role, "") + _squeezed(part.text)
            elif part.kind == "tool_call" and part.id not in served:
                called.add(part.id)
                said["call"].append((_plain_id(part.id), part.name, part.arguments))
            elif part.kind == "tool_result" and part.id in called:
                said["result"].append((_plain_id(part.id), part.text))
            elif part.kind == "tool_result" and not _is_of_the_provider(part, turn, messages):
                # a result without its call is sent as text: no provider takes it otherwise
                said["user"] = said.get("user", "") + _squeezed(part.text)
            elif part.kind == "image" and (part.data or part.url):
                # one that is stored at the provider stays there
                said["image"].append(part.data or part.url)
    return said


def _plain_id(call_id: str | None) -> str | None:
    """An id of the letters that every provider takes."""
    return call_id and re.sub(r"[^A-Za-z0-9_-]", "_", call_id)[:64]


def _squeezed(text: str) -> str:
    """Text without blanks: where texts were joined is no difference."""
    return "".join(text.split())


def _functions(body: dict[str, Any]) -> list[tuple[str, Any]]:
    """Names and schemas of the tools of a body."""
    found: list[tuple[str, Any]] = []
    for tool in body.get("tools") or []:
        target = mapping(tool.get("function") or tool.get("custom")) or tool
        schema = target.get("parameters", target.get("input_schema"))
        found.append((target["name"], schema or {"type": "object", "properties": {}}))
    return found
