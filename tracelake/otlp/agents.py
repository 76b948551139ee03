"""What a span tells of an agent: its name, its task and its last word."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, cast

from tracelake.otlp import conventions as names
from tracelake.otlp.calls import event_messages
from tracelake.otlp.messages import parsed, read_messages, text_of
from tracelake.otlp.tools import plain

if TYPE_CHECKING:
    from tracelake.model import Kind
    from tracelake.otlp.messages import Message
    from tracelake.otlp.spans import Attributes, OtlpSpan

#: Attributes with a conversation, which stay where they are: an agent's own calls tell it too.
_ASKED: Final = (*names.FIELDS["input_messages"], *names.FIELDS["input"])
_ANSWERED: Final = (*names.FIELDS["output_messages"], *names.FIELDS["output"])
#: What frameworks write around a task or an answer.
_AROUND: Final = ("outputs", "inputs", "output", "input", "raw", "task", "kwargs")
_DEPTH_MAX: Final = 4
_NOTHING: Final = (None, "", "null", {}, [])


def runs_as(span: OtlpSpan, kind: Kind) -> str | None:
    """The agent whose run a chain is: frameworks call it like its agent; None for other spans."""
    if kind != "chain":
        return None
    attributes = span.attributes
    told = next((attributes[key] for key in names.RUNS_IN if key in attributes), None)
    if told is None:
        about = attributes.get("metadata")
        if not isinstance(about, str) or names.RUNS_IN_METADATA not in about:
            return None
        about = parsed(about)
        told = about.get(names.RUNS_IN_METADATA) if isinstance(about, dict) else None
    agent = parsed(told)
    own = attributes.get("traceloop.entity.name") or span.name
    return agent if isinstance(agent, str) and agent == own else None


def agent_name(span: OtlpSpan, fields: dict[str, Any], rest: dict[str, Any]) -> str:
    """What an agent without an attribute for it is called."""
    about: Any = parsed(rest.get("metadata"))
    if isinstance(about, dict):  # LangGraph calls each agent's node alike, and says whose it is
        path = str(about.get("langgraph_checkpoint_ns") or "")
        node = path.partition("|")[0].partition(":")[0] if "|" in path else ""
        if node:
            return node
    if told := plain(fields.get("entity")) or plain(fields.get("own_name")):
        return told
    name = plain(fields.get("title")) or span.name
    name = "claude-code" if name == "claude_code.interaction" else name
    for noise in names.AGENT_NAME_NOISE:
        name = name.replace(noise, "")
    return name.strip() or span.name or "agent"


def chain_name(name: str) -> str:
    """A chain's name without what frameworks write around it."""
    return names.CHAIN_NAME_NOISE.sub("", name) or name


def agent_columns(
    span: OtlpSpan, fields: dict[str, Any], rest: dict[str, Any], attributes: Attributes
) -> dict[str, Any]:
    """Task and answer of an agent; whole conversations also stay among the attributes."""
    columns: dict[str, Any] = {}
    asked, answered = event_messages((event.name, event.attributes) for event in span.events)
    for column, field, own, keys, said in (
        ("task", "input", "own_input", _ASKED, _last(asked, "user")),
        ("response", "output", "own_output", _ANSWERED, _last(answered, "assistant")),
    ):
        whole = fields.get(field, fields.get(own))
        if whole is None:
            whole = next((attributes[key] for key in keys if attributes.get(key)), None)
        told = last_word(whole, "user" if column == "task" else "assistant")
        if told is not None and told != whole and field in fields:
            rest[field] = whole
        columns[column] = told or said or (plain(whole) if parsed(whole) not in _NOTHING else None)
    return columns


def answer_of(attributes: Attributes) -> str | None:
    """The last word of what may turn out to be a program's root."""
    whole = next((attributes[key] for key in _ANSWERED if attributes.get(key)), None)
    return last_word(whole, "assistant")


def last_word(value: Any, role: str, depth: int = 0) -> str | None:
    """The text that counts in a task or an answer: that of its last message of a role.

    None where it is no text, and holds none.
    """
    value = parsed(value)
    if isinstance(value, str):
        return value if value not in {"", "null"} else None
    if isinstance(value, dict):
        value = cast("dict[str, Any]", value)
        for key in _AROUND:
            inner = value.get(key)
            if inner and depth < _DEPTH_MAX and (told := last_word(inner, role, depth + 1)):
                return told
    return _last(read_messages(_in_pairs(value), role=role), role)


def _in_pairs(value: Any) -> Any:
    """LangChain's short messages, `[role, text]`, as whole ones."""
    holder = cast("dict[str, Any]", value).get("messages") if isinstance(value, dict) else value
    pairs = cast("list[Any]", holder) if isinstance(holder, list) else []
    if pairs and all(
        isinstance(pair, list)
        and len(cast("list[Any]", pair)) == 2
        and all(isinstance(part, str) for part in cast("list[Any]", pair))
        for pair in pairs
    ):
        return [{"role": role, "content": text} for role, text in pairs]
    return value


def _last(messages: list[Message], role: str) -> str | None:
    told = (text_of(message) for message in reversed(messages) if message.get("role") == role)
    return next(filter(None, told), None)
