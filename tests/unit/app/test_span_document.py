"""What the detail panel gets to show of a span."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from app.span_document import as_json, read_document, span_document
from tracelake.lake import Lake
from tracelake.model import utc_now

if TYPE_CHECKING:
    from pathlib import Path

START = datetime(2026, 11, 22, 10, tzinfo=UTC)


def call(**columns: Any) -> dict[str, Any]:
    """An LLM span."""
    return {
        "trace_id": "t",
        "span_id": "c",
        "kind": "llm",
        "status": "ok",
        "model": "claude-sonnet-4-6",
        "provider": "anthropic",
        "start_time": START,
        "end_time": START + timedelta(seconds=2),
        "duration_ms": 2000.0,
        "system": "Be short.",
        "messages": [{"role": "user", "content": "Hello"}],
        "request": {"model": "claude-sonnet-4-6", "max_tokens": 9},
        "response": "Hi.",
        "attributes": {"api": "messages"},
        **columns,
    }


def facts(document: dict[str, Any]) -> dict[str, str]:
    """Facts by label."""
    return {label: value for label, value, _ in document["facts"]}


def test_a_call_is_a_conversation_with_its_answer() -> None:
    """System, messages and answer are turns; the body can be sent again as it is."""
    document = span_document(call())
    assert [turn["role"] for turn in document["turns"]] == ["system", "user"]
    assert document["answer"]["parts"] == [{"kind": "text", "text": "Hi."}]
    assert document["body"]["messages"] == [{"role": "user", "content": "Hello"}]
    assert document["endpoint"] == "/v1/messages"


def test_tokens_are_split_and_the_unknown_is_a_dash() -> None:
    """Cache and reasoning tokens stand apart; what nobody counted is no zero."""
    split = {"tokens_input": 1234, "tokens_cache_read": 1000, "tokens_output": 7}
    assert facts(span_document(call(**split))) | {
        "Tokens in": "1,234", "Cache read": "1,000", "Tokens out": "7", "Cost": "—",
    } == facts(span_document(call(**split)))  # fmt: skip
    assert facts(span_document(call()))["Tokens in"] == "—"
    assert "Cache read" not in facts(span_document(call()))


def test_messages_sent_before_are_told_from_new_ones() -> None:
    """Agents resend their history; what the call before had sent already is marked."""
    history = [{"role": "user", "content": "one"}, {"role": "assistant", "content": "two"}]
    new = [*history, {"role": "user", "content": "three"}]
    turns = span_document(call(messages=new), earlier=history)["turns"]
    assert [turn["resent"] for turn in turns] == [False, True, True, False]


def test_a_tool_call_and_its_result_are_linked_by_id() -> None:
    """The panel can lead from a call to its result: both carry the provider's id."""
    messages = [
        {"role": "assistant", "content": [
            {"type": "tool_use", "id": "tu1", "name": "grep", "input": {"q": "x"}}]},
        {"role": "user", "content": [
            {"type": "tool_result", "tool_use_id": "tu1", "content": "3 hits"}]},
    ]  # fmt: skip
    parts = [turn["parts"][0] for turn in span_document(call(messages=messages))["turns"][1:]]
    assert [part["kind"] for part in parts] == ["tool_call", "tool_result"]
    assert {part["id"] for part in parts} == {"tu1"}


def test_hostile_columns_raise_nothing() -> None:
    """Whatever a trace holds, the document is made: odd messages, tools and parameters."""
    for odd in ("text", 7, [None, 3, {"x": 1}], {"role": "user"}, None):
        document = span_document(call(messages=odd, tools=[odd, {"function": 3}], request=None))
        assert document["kind"] == "llm"
        document = span_document(call(tools=odd, request=odd, attributes=odd))
        assert document["tools"] == [] or isinstance(odd, list)


def test_numbers_of_any_size_reach_the_browser_as_they_are() -> None:
    """An id of more digits than a machine word holds is told whole, and breaks no connection."""
    for number in (7, 2**63, 2**70):
        assert as_json({"parameters": {"id": number}}) == f'{{"parameters":{{"id":{number}}}}}'


def test_an_error_keeps_its_type_and_text() -> None:
    """A failed span shows what the provider or tool said."""
    failed = {"kind": "tool", "status": "error", "error_type": "OSError", "error": "gone\nat x"}
    document = span_document(call(**failed, tool_name="read", parameters={"path": "a"}))
    assert document["error"] == {"type": "OSError", "text": "gone\nat x"}
    assert document["title"] == "read"
    assert document["turns"] == []


def test_a_span_is_read_with_the_call_before_it(tmp_path: Path) -> None:
    """Read from the lake, a call knows what its agent had sent before; an unknown span is None."""
    with Lake(tmp_path / "lake") as lake:
        for index, text in enumerate(("one", "two")):
            messages = [{"role": "user", "content": word} for word in ("one", "two")[: index + 1]]
            lake.append({
                "event_type": "llm_call", "trace_id": "t", "span_id": f"c{index}",
                "parent_id": "root", "timestamp": utc_now(), "agent_name": "a",
                "data": {"messages": messages, "response": text, "status": "ok",
                         "start_time": START + timedelta(seconds=index)},
            })  # fmt: skip
        document = read_document(lake, "t", "c1")
        assert document is not None
        assert [turn["resent"] for turn in document["turns"]] == [True, False]
        assert read_document(lake, "t", "none") is None
        assert read_document(lake, "none", "c1") is None


def test_an_agent_tells_what_it_was_asked_answered_and_took(tmp_path: Path) -> None:
    """Its own calls alone: the prompt of the first, the answer of the last, and their sums."""
    with Lake(tmp_path / "lake") as lake:
        at = {"trace_id": "t", "timestamp": START, "agent_name": "a"}
        lake.append({"event_type": "agent_start", "span_id": "root", **at})
        lake.append({"event_type": "agent_start", "span_id": "sub", "parent_id": "root", **at})
        assert facts(read_document(lake, "t", "root") or {"facts": []}).keys() == {
            "Latency", "Started (UTC)",
        }  # fmt: skip
        for number, parent in enumerate(("root", "sub", "root")):
            said = {
                "messages": [{"role": "user", "content": f"ask {number}"}],
                "response": f"answer {number}",
                "tokens": {"input": 10 + number, "output": 1},
                "cost_usd": 0.5,
            }
            call = {"event_type": "llm_call", "span_id": f"c{number}", "parent_id": parent, **at}
            lake.append({**call, "timestamp": START + timedelta(seconds=number), "data": said})
        tool = {"event_type": "tool_call", "span_id": "tool", "parent_id": "root", **at}
        lake.append({**tool, "data": {"tool_name": "grep", "error": "no such file"}})
        document = read_document(lake, "t", "root")
    assert document is not None
    told = facts(document)
    assert [told[name] for name in ("Calls", "Tools", "Tokens in", "Tokens out", "Errors")] == [
        "2", "1", "22", "2", "1",
    ]  # fmt: skip
    assert told["Cost"] == "$1.00"
    assert [turn["parts"][0]["text"] for turn in document["turns"]] == ["ask 0"]
    assert document["answer"]["parts"][0]["text"] == "answer 2"
