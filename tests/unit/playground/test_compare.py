"""What changed between two answers."""

from __future__ import annotations

import time

from hypothesis import given
from hypothesis import strategies as st

from tracelake.playground.compare import Chunk, deltas, tool_calls_text, word_diff


def test_words_are_compared_not_letters() -> None:
    """A changed word is removed and added whole."""
    assert word_diff("the quick fox", "the quack fox") == [
        Chunk("same", "the "),
        Chunk("removed", "quick"),
        Chunk("added", "quack"),
        Chunk("same", " fox"),
    ]


@given(st.text(), st.text())
def test_the_difference_tells_both_texts(before: str, after: str) -> None:
    """Same and removed give the old text, same and added the new one, whatever is in them."""
    chunks = word_diff(f"({before}", f"({after}")
    assert "".join(c.text for c in chunks if c.op != "added") == f"({before}"
    assert "".join(c.text for c in chunks if c.op != "removed") == f"({after}"


def test_json_is_compared_by_what_it_says() -> None:
    """The order of keys and the blanks of a JSON document are no difference."""
    chunks = word_diff('{"b": 1, "a": [2]}', '{"a":[2],"b":1}')
    assert {chunk.op for chunk in chunks} == {"same"}


def test_a_long_text_is_compared_within_a_second() -> None:
    """A 200 KB prompt with a changed line does not stop the page."""
    before = "\n".join(f"line {n} of a long prompt with some words" for n in range(5000))
    after = before.replace("line 2500 of", "line 2500, changed, of")
    started = time.process_time()
    chunks = word_diff(before, after)
    assert time.process_time() - started < 5
    assert {"removed", "added"} & {chunk.op for chunk in chunks}


def test_only_what_lies_around_a_difference_is_compared() -> None:
    """A word changed in a long text of any shape is found alone, whatever stands before it."""
    for unit in ("one two, three.\n", "wordwithoutanyend", "😀"):
        before = unit * 20_000
        middle = len(before) // 2
        after = f"{before[:middle]} CHANGED {before[middle:]}"
        chunks = word_diff(before, after)
        assert "".join(chunk.text for chunk in chunks if chunk.op != "added") == before
        assert "".join(chunk.text for chunk in chunks if chunk.op != "removed") == after
        assert sum(len(chunk.text) for chunk in chunks if chunk.op != "same") < 5_000


def test_what_is_nested_too_deeply_is_compared_as_text() -> None:
    """JSON that no parser takes apart is text like any other."""
    deep = "[" * 100_000
    assert {chunk.op for chunk in word_diff(f"{deep} a", f"{deep} b")} >= {"removed", "added"}
    blocks = [{"type": "function_call", "name": "f", "arguments": deep}]
    assert tool_calls_text(blocks).startswith("f [[")


def test_unknown_numbers_have_no_delta() -> None:
    """A delta needs both numbers; unknown is not zero."""
    found = {d.name: d for d in deltas({"cost_usd": 0.1}, {"cost_usd": 0.3, "tokens_input": 5})}
    assert round(found["cost_usd"].change or 0, 6) == 0.2
    assert found["tokens_input"].change is None


def test_tool_calls_of_every_format_read_alike() -> None:
    """The same call gives the same text from each provider's blocks, arguments sorted."""
    anthropic = [{"type": "tool_use", "name": "f", "input": {"b": 1, "a": 2}}]
    responses = [{"type": "function_call", "name": "f", "arguments": '{"a": 2, "b": 1}'}]
    function = {"name": "f", "arguments": '{"b": 1, "a": 2}'}
    chat = [{"message": {"tool_calls": [{"function": function}]}}]
    texts = {tool_calls_text(blocks) for blocks in (anthropic, responses, chat)}
    assert len(texts) == 1
    assert tool_calls_text("no blocks") == ""


def test_a_long_text_is_compared_by_words_where_its_lines_changed() -> None:
    """Beyond what words allow at once, a word changed in a line is still marked alone."""
    line = "The quick brown fox jumps over the lazy dog, again.\n"
    before = line * 4000
    after = line * 2000 + line.replace("lazy", "sleepy") + line * 1999
    chunks = word_diff(before, after)
    assert [chunk.text for chunk in chunks if chunk.op == "removed"] == ["lazy"]
    assert [chunk.text for chunk in chunks if chunk.op == "added"] == ["sleepy"]
    assert "".join(chunk.text for chunk in chunks if chunk.op != "removed") == after
