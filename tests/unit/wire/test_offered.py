"""Tools and messages of other agents that come as items of a Responses call's input."""

from __future__ import annotations

from typing import Any

from tests.unit.wire.exchanges import RESPONSES, asked
from tracelake.wire import Request, rebuild_body

OFFER = {
    "type": "additional_tools",
    "role": "developer",
    "tools": [
        {"type": "namespace", "name": "team", "tools": [{"name": "spawn"}, {"name": "wait"}]}
    ],
}


def rebuilt(call: Request) -> dict[str, Any]:
    """The body of a call that was not edited."""
    return rebuild_body(call.api, call.parameters, call.system, call.messages, call.tools)


def item(role: str, text: str) -> dict[str, object]:
    """A message item."""
    return {"type": "message", "role": role, "content": [{"type": "input_text", "text": text}]}


def test_tools_offered_in_the_input_are_the_tools_of_the_call() -> None:
    """They stand in `tools`, not in the conversation; the body can be rebuilt as it was."""
    body = {"model": "m", "input": [OFFER, item("developer", "Rules."), item("user", "Go.")]}
    call = asked(RESPONSES, body)
    assert call.tool_names == ("spawn", "wait")
    assert call.tools == OFFER["tools"]
    assert call.system == "Rules."
    assert [atom.text for atom in call.atoms] == ["Go."]
    assert rebuilt(call) == body


def test_tools_offered_in_the_input_join_those_of_the_field() -> None:
    """Both are offered to the model; the body can be rebuilt as it was."""
    body = {"model": "m", "input": [OFFER, item("user", "Go.")], "tools": [{"name": "own"}]}
    call = asked(RESPONSES, body)
    assert call.tool_names == ("own", "spawn", "wait")
    assert rebuilt(call) == body


def test_edited_tools_take_the_place_of_those_offered_in_the_input() -> None:
    """An edit of tools or of the system prompt keeps the item that offers the tools."""
    body = {"model": "m", "input": [OFFER, item("developer", "Rules."), item("user", "Go.")]}
    call = asked(RESPONSES, body)
    edited = rebuild_body(
        call.api, call.parameters, "Other rules.", call.messages, [{"name": "new"}]
    )
    again = asked(RESPONSES, edited)
    assert again.tool_names == ("new",)
    assert again.system == "Other rules."
    assert "tools" not in edited


def test_a_message_of_another_agent_is_no_answer_of_this_one() -> None:
    """It comes from outside, as the user's do; what is encrypted is text where it can be read."""
    message = {
        "type": "agent_message",
        "author": "/root",
        "recipient": "/root/reader",
        "content": [
            {"type": "input_text", "text": "Sender: /root"},
            {"type": "encrypted_content", "encrypted_content": "Read the file a.py."},
            {"type": "encrypted_content", "encrypted_content": "gAAAAABpx"},
        ],
    }
    atoms = asked(RESPONSES, {"model": "m", "input": [message]}).atoms
    assert [(atom.role, atom.kind) for atom in atoms] == [
        ("user", "text"),
        ("user", "text"),
        ("user", "other"),
    ]
    assert atoms[1].text == "Read the file a.py."
