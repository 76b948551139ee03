"""Conversation replay: what is asked again, what is reused, where it stops."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

from tracelake import schema
from tracelake.replay.conversation import ConversationReplay, load_tools

START = datetime(2026, 11, 22, 10, tzinfo=UTC)
TOOL = {"name": "delegate", "description": "d", "input_schema": {"type": "object"}}


def span(number: int, **columns: Any) -> dict[str, Any]:
    """A row of `spans`; JSON columns given as values."""
    row: dict[str, Any] = dict.fromkeys(schema.SPANS.names)
    row |= {"start_time": START + timedelta(seconds=number), "status": "ok"}
    for name, value in columns.items():
        is_json = schema.SPANS.dtype(name) == "json"
        row[name] = json.dumps(value) if is_json else value
    return row


def llm(number: int, parent: str, messages: list[Any], answer: list[Any], **more: Any) -> Any:
    """A recorded Anthropic call."""
    text = "".join(block.get("text", "") for block in answer)
    return span(
        number,
        span_id=f"c{number}",
        parent_id=parent,
        kind="llm",
        agent_name=parent,
        model="m",
        request={"model": "m", "max_tokens": 9, "stream": True},
        messages=messages,
        response=text,
        response_blocks=answer,
        attributes={"api": "messages"},
        **more,
    )


def use(identity: str, name: str, **arguments: Any) -> dict[str, Any]:
    """A tool call."""
    return {"type": "tool_use", "id": identity, "name": name, "input": arguments}


def text(said: str) -> dict[str, Any]:
    """A text block."""
    return {"type": "text", "text": said}


ASKED = {"role": "user", "content": "What is the capital's river?"}
WORK = {"role": "user", "content": "Find the river of Madrid."}
SPANS = [
    span(0, span_id="boss", kind="agent", name="boss", agent_name="boss"),
    llm(1, "boss", [ASKED], [use("t1", "delegate", task="Find the river of Madrid.")]),
    span(
        2,
        span_id="d1",
        parent_id="boss",
        kind="tool",
        tool_name="delegate",
        parameters={"task": "Find the river of Madrid."},
        result="It is the Manzanares.",
    ),
    span(3, span_id="worker", parent_id="d1", kind="agent", name="worker", agent_name="worker"),
    llm(4, "worker", [WORK], [use("t2", "look_up", city="Madrid")]),
    span(
        5,
        span_id="l1",
        parent_id="worker",
        kind="tool",
        tool_name="look_up",
        parameters={"city": "Madrid"},
        result="Manzanares",
    ),
    llm(6, "worker", [WORK, {"role": "user", "content": "…"}], [text("It is the Manzanares.")]),
    llm(
        7,
        "boss",
        [
            ASKED,
            {"role": "assistant", "content": [use("t1", "delegate", task="Find …")]},
            {
                "role": "user",
                "content": [
                    {
                        "type": "tool_result",
                        "tool_use_id": "t1",
                        "content": "It is the Manzanares.",
                    }
                ],
            },
        ],
        [text("The Manzanares.")],
    ),
]


class Provider:
    """Answers from a list and keeps what it was asked."""

    def __init__(self, *answers: list[Any]) -> None:
        self.answers = list(answers)
        self.asked: list[dict[str, Any]] = []

    def __call__(self, api: str, body: dict[str, Any]) -> list[Any]:
        """The next answer."""
        assert api == "messages"
        self.asked.append(body)
        return self.answers.pop(0)


def test_an_edited_answer_is_handed_to_whoever_received_the_old_one() -> None:
    """Only the call that was given the sub-agent's answer is issued again, with the new one."""
    provider = Provider([text("The Tagus.")])
    result = ConversationReplay(SPANS, provider).run("c6", [text("It is the Tagus.")])
    assert result.output == "The Tagus."
    assert [step.outcome for step in result.steps] == ["edited", "live"]
    sent = json.dumps(provider.asked)
    assert "It is the Tagus." in sent
    assert "Manzanares" not in sent
    assert provider.asked[0]["stream"] is False


def test_a_recorded_tool_result_is_used_again_for_the_same_arguments() -> None:
    """The tool is not run; the model is asked with the recorded result."""
    provider = Provider([text("It is the Manzanares, I am sure.")], [text("Sure.")])
    edited = [text("Let me look."), use("t9", "look_up", city="Madrid")]
    result = ConversationReplay(SPANS, provider).run("c4", edited)
    assert [(step.kind, step.outcome) for step in result.steps] == [
        ("llm", "edited"),
        ("tool", "recorded"),
        ("llm", "live"),
        ("llm", "live"),
    ]
    results = provider.asked[0]["messages"][-1]["content"]
    assert results == [{"type": "tool_result", "tool_use_id": "t9", "content": "Manzanares"}]
    assert result.output == "Sure."


def test_an_agent_works_again_on_its_new_assignment() -> None:
    """A delegation with other words runs the recorded agent with these words in its prompt."""
    provider = Provider([text("It is the Seine.")], [text("The Seine.")])
    edited = [use("t8", "delegate", task="Find the river of Paris.")]
    result = ConversationReplay(SPANS, provider).run("c1", edited)
    assert [(step.kind, step.outcome) for step in result.steps] == [
        ("llm", "edited"),
        ("agent", "rerun"),
        ("llm", "live"),
        ("llm", "live"),
    ]
    assert provider.asked[0]["messages"][0]["content"] == "Find the river of Paris."
    assert result.output == "The Seine."


def test_a_tool_without_recorded_result_runs_if_registered_and_stops_else() -> None:
    """Nothing is made up: either the function runs, or the replay says where it stopped."""
    edited = [use("t9", "look_up", city="Paris")]
    stopped = ConversationReplay(SPANS, Provider()).run("c4", edited)
    assert stopped.output is None
    assert stopped.steps[-1].outcome == "stopped"
    assert "look_up" in stopped.steps[-1].text
    provider = Provider([text("It is the Seine.")], [text("The Seine.")])
    tools = {"look_up": lambda city: f"river of {city}"}
    result = ConversationReplay(SPANS, provider, tools).run("c4", edited)
    assert result.steps[1].outcome == "registered"
    assert provider.asked[0]["messages"][-1]["content"][0]["content"] == "river of Paris"
    assert result.output == "The Seine."


def test_the_tools_of_a_module_are_found_by_its_path() -> None:
    """Its public functions, by their names."""
    assert load_tools("json")["dumps"] is json.dumps
