"""Whatever bytes come in, they decode or are refused with a status; nothing else happens."""

from __future__ import annotations

import gzip
import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.otlp_bodies import as_protobuf, span
from tracelake.otlp import Assembly, OtlpRefused, SpanBatch, decode, decode_logs, events_of
from tracelake.storage.codec import decode_events, encode_event
from tracelake.storage.fold import fold_events

TYPES = st.sampled_from(["application/x-protobuf", "application/json", "text/plain", ""])
ENCODINGS = st.sampled_from(["", "gzip", "deflate", "br"])
VALID = as_protobuf(
    span(1, attributes={"openinference.span.kind": "LLM", "llm.input_messages.0.message.role": "u"})
)
JSON_VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=5,
)
#: Attributes that the tables read, and what nobody expects in them.
NAMES = st.sampled_from(
    [
        "openinference.span.kind",
        "gen_ai.operation.name",
        "gen_ai.input.messages",
        "gen_ai.output.messages",
        "gen_ai.system_instructions",
        "gen_ai.tool.definitions",
        "gen_ai.usage.input_tokens",
        "gen_ai.prompt.0.role",
        "gen_ai.prompt.0",
        "gen_ai.prompt.x.y.z",
        "gen_ai.completion.0.tool_calls.0.arguments",
        "llm.input_messages.0.message.contents.0.message_content.image.image.url",
        "llm.input_messages.0.message.tool_calls",
        "llm.tools.0.tool.json_schema",
        "llm.invocation_parameters",
        "langfuse.observation.usage_details",
        "metadata",
        "input.value",
        "output.value",
        "session.id",
        "agent.name",
        "gen_ai.completion",
        "langfuse.observation.type",
        "langfuse.observation.input",
        "langfuse.observation.completion_start_time",
        "langsmith.metadata.lc_agent_name",
        "langsmith.metadata.langgraph_checkpoint_ns",
        "logfire.msg_template",
        "logfire.span_type",
        "duration",
        "events",
        "mlflow.spanType",
        "mlflow.spanInputs",
        "tool.parameters",
        "input",
    ]
)
ODD: st.SearchStrategy[Any] = st.sampled_from(
    [
        "",
        "text",
        0,
        -1,
        2**60,
        1.5,
        True,
        [],
        [1, "a", None],
        [[]],
        [{}],
        {},
        {"role": 3},
        {"message": {"role": [], "content": {"a": 1}, "tool_calls": "x"}},
        {"messages": [["a", {"content": None}]]},
        [{"role": "user", "parts": [{"type": "text"}, 7, {"type": "blob"}, {"type": None}]}],
        [{"parts": [{"type": "tool_call", "arguments": []}, {"type": "tool_call_response"}]}],
        [{"message": {"contents": [{"message_content": {"image": {"image": 1}}}, None]}}],
        [{"tool_calls": [1, {"function": 3}, {"tool_call": {"function": {}}}]}],
        [{"name": {}, "function": 1}, {"tool": {"json_schema": "["}}],
        [{"text": 1}, {"toolUse": 1}, {"toolResult": {"content": [1]}}, {"reasoningContent": {}}],
        [{"role": "user", "content": [{"toolUse": {}}, {"text": None}]}, {"type": []}],
        [{"type": "reasoning", "summary": 3}, {"type": "function_call"}, {"type": "message"}],
        {"output": {"type": "tool", "data": {"content": [{"text": 2}], "status": []}}},
        {"input_str": 1, "inputs": 2, "kwargs": 3},
        {"generations": [[{"generation_info": 1, "message": {"kwargs": {}, "id": []}}]]},
        {"instructions": 1, "input": [[["a", "b"]]], "tools": [{"function": []}], "object": 1},
        {"lc_agent_name": [], "langgraph_checkpoint_ns": "a|b", "blocks": [1], "output": {}},
        [{"role": "tool", "content": {"function": 1}}],
        {"total": 1, "input": 1, "output": [], "input_x": "y"},
    ]
)
KINDS = st.sampled_from(["LLM", "AGENT", "TOOL", "CHAIN", "chat", "embeddings", "?"])


def _take(body: bytes, content_type: str, encoding: str) -> None:
    refused: list[int] = []
    for read in (decode, decode_logs):
        try:
            found = read(body, content_type, encoding, limit=1 << 16)
        except OtlpRefused as refusal:
            refused.append(refusal.status)
        else:
            _events(found.spans if isinstance(found, SpanBatch) else [])
    assert set(refused) <= {400, 413, 415}


def _events(spans: Any) -> None:
    events = Assembly().add(events_of(spans), now_s=0.0)
    lines = b"".join(map(encode_event, events))
    assert len(decode_events(lines, "segment")) == len(events)
    fold_events(decode_events(lines, "segment"))


@given(st.binary(max_size=300), TYPES, ENCODINGS)
def test_any_bytes(body: bytes, content_type: str, encoding: str) -> None:
    """Noise is refused, in every form and compression."""
    _take(body, content_type, encoding)
    if encoding == "gzip":
        _take(gzip.compress(body), content_type, encoding)


@given(st.data())
def test_a_damaged_message(data: st.DataObject) -> None:
    """A real message with bytes changed, cut or put in."""
    body = bytearray(VALID)
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(body) - 1))
        body[at : at + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=3))
    _take(bytes(body), "application/x-protobuf", "")


@settings(max_examples=50)
@given(JSON_VALUES, st.sampled_from(["resourceSpans", "scopeSpans", "spans", "attributes"]))
def test_json_of_any_shape(value: Any, where: str) -> None:
    """JSON that is no request, or whose parts are not what they should be."""
    document: Any = {where: value}
    if where in {"spans", "attributes"}:
        inner = {"spans": value} if where == "spans" else {"spans": [{**span(1), where: value}]}
        document = {"resourceSpans": [{"scopeSpans": [inner]}]}
    elif where == "scopeSpans":
        document = {"resourceSpans": [document]}
    _take(json.dumps(document).encode(), "application/json", "")


@settings(max_examples=200)
@given(st.dictionaries(NAMES, ODD | ODD.map(json.dumps) | KINDS, max_size=6), KINDS)
def test_known_attributes_with_unexpected_values(attributes: dict[str, Any], kind: str) -> None:
    """Conventions are broken by their senders; a span is kept all the same."""
    attributes.setdefault("openinference.span.kind", kind)
    (found,) = decode(VALID, "application/x-protobuf").spans
    found.attributes = attributes
    _events([found])
