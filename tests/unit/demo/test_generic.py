"""Generic answers: made from the prompt, the same for the same prompt, in the form asked for."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tracelake.demo.offline.brain import think
from tracelake.demo.offline.catalogue import embed
from tracelake.demo.offline.conversation import read_ask
from tracelake.demo.offline.generic import LABEL, example_of
from tracelake.demo.offline.style import read_style, sentences

LONG = (
    "Summarise this: The relay forwards bytes. Lunch was good. "
    "The relay records bytes after the relay forwards them. Nobody knows the weather."
)


def answer_to(request: str, system: str = "", **body: Any) -> str:
    """What the offline provider says to one message."""
    messages = [{"role": "system", "content": system}, {"role": "user", "content": request}]
    return think(read_ask("chat", {"model": "gpt-4o", "messages": messages, **body})).text


def test_the_same_request_gets_the_same_answer_in_every_format() -> None:
    """Neither time nor format changes what is said."""
    bodies: dict[Any, dict[str, Any]] = {
        "chat": {
            "messages": [
                {"role": "system", "content": "You are a baker."},
                {"role": "user", "content": "Why does bread rise?"},
            ]
        },
        "messages": {
            "system": "You are a baker.",
            "messages": [{"role": "user", "content": "Why does bread rise?"}],
        },
        "responses": {"instructions": "You are a baker.", "input": "Why does bread rise?"},
    }
    texts = [think(read_ask(kind, {"model": "m", **body})).text for kind, body in bodies.items()]
    assert texts[0]
    assert len(set(texts)) == 1


@pytest.mark.parametrize(
    ("request_text", "system"),
    [
        ("Why does bread fall?", "You are a baker."),
        ("Why does bread rise?", "You are a chemist."),
        ("Why does bread rise?", "You are a baker. Mention the weather."),
        ("Why does bread rise?", "You are a baker. Answer in one sentence."),
        ("Why does bread rise?", "You are a baker. Use bullet points."),
        ("Why does bread rise?", "You are a baker. Answer in German."),
        ("Why does bread rise? Reply as JSON.", "You are a baker."),
        ("Why does bread rise?", ""),
    ],
)
def test_an_edited_prompt_gets_another_answer(request_text: str, system: str) -> None:
    """Role, question, content and form each show in the answer."""
    assert answer_to(request_text, system) != answer_to("Why does bread rise?", "You are a baker.")


def test_a_long_system_prompt_counts_to_its_end() -> None:
    """An edit far down in a long prompt shows, too."""
    rules = " ".join(f"Rule {number} is to be obeyed." for number in range(40))
    assert answer_to("Hello", rules) != answer_to("Hello", rules + " Rule 41 is new.")


def test_form_is_obeyed() -> None:
    """One sentence is one sentence, JSON parses, a limit of words holds, a label says offline."""
    assert len(sentences(answer_to("Why is it so?", "Answer in one sentence."))) == 1
    assert "answer" in json.loads(answer_to("Why is it so?", "Answer in JSON."))
    assert len(answer_to("Why is it so?", "Use at most 12 words.").split()) <= 13
    bulleted = answer_to("Why is it so?", "Use bullet points.")
    assert all(line.startswith("- ") for line in bulleted.splitlines()[:2])
    assert answer_to("Why?", "Write in capital letters.").split(f"\n\n*{LABEL}")[0].isupper()
    assert LABEL in answer_to("Why is it so?")


def test_small_things_are_worked_out() -> None:
    """Sums, choices and summaries are computed from the request."""
    assert "17 * 23 = 391." in answer_to("What is 17 * 23?")
    assert "cannot be divided" in answer_to("What is 1 / 0?")
    chosen = answer_to("Classify this as bug, feature or question: it crashes")
    assert any(f"**{choice}**" in chosen for choice in ("bug", "feature", "question"))
    summary = answer_to(LONG).split("### Request")[0]
    assert "The relay records bytes" in summary
    assert "weather" not in summary


def test_history_and_tool_results_show() -> None:
    """A later turn tells what came before, so that an edited result changes it."""
    messages = [
        {"role": "user", "content": "How warm is it?"},
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [
                {
                    "id": "c1",
                    "type": "function",
                    "function": {"name": "thermometer", "arguments": "{}"},
                }
            ],
        },
        {"role": "tool", "tool_call_id": "c1", "content": "21 degrees"},
    ]
    text = think(read_ask("chat", {"model": "m", "messages": messages})).text
    assert "`thermometer` gave “21 degrees”" in text


def test_examples_follow_their_schema() -> None:
    """Every plain construct of JSON schema gives a value of its kind."""
    schema = {
        "type": "object",
        "properties": {
            "kind": {"enum": ["bug", "feature"]},
            "count": {"type": "integer"},
            "done": {"type": "boolean"},
            "tags": {"type": "array", "items": {"type": "string"}, "minItems": 2},
            "maybe": {"anyOf": [{"type": "null"}, {"type": "string"}]},
            "version": {"const": 3},
            "both": {"type": ["string", "null"]},
        },
    }
    value = example_of(schema, "a feature in 7 days")
    assert value["kind"] == "feature"
    assert value["count"] == 7
    assert value["done"] is True
    assert len(value["tags"]) == 2
    assert value["maybe"] is None
    assert value["version"] == 3
    assert isinstance(value["both"], str)


def test_styles_are_read_from_prompts() -> None:
    """The later of two contradicting wishes wins, and ordinary prose asks for nothing."""
    assert read_style("In two sentences.", "No, in 3 short sentences.").sentences == 3
    assert read_style("at most 40 words").words == 40
    assert read_style("Report under the headings Cause, Change and Open points.").headings == (
        "Cause",
        "Change",
        "Open points",
    )
    assert read_style("The customer wrote 1,500 words in a JSON file, in France.") == read_style("")


def test_embeddings_lie_close_for_texts_with_words_in_common() -> None:
    """Vectors have length one, and shared words bring texts together."""
    first, near, far = (embed(t, size=64) for t in ("red green", "red blue", "one two"))
    assert sum(x * x for x in first) == pytest.approx(1.0, abs=1e-5)

    def closeness(a: Any, b: Any) -> float:
        return sum(x * y for x, y in zip(a, b, strict=True))

    assert closeness(first, near) > closeness(first, far)
