"""The page of a trace: complete, and text whatever the text is."""

from __future__ import annotations

from html.parser import HTMLParser
from typing import TYPE_CHECKING, Any

import pytest

from tracelake import Lake, Tracer
from tracelake.cli import main

if TYPE_CHECKING:
    from pathlib import Path

HOSTILE = '</pre></details><script>alert(1)</script><img src="/x" onerror="alert(2)">&amp;'


class _Page(HTMLParser):
    """Tags in order, and the text."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in {"meta", "img"}:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data

    def count(self, tag: str) -> int:
        """How many there are of a tag."""
        return sum(name == tag for name, _ in self.tags)


def page_of(lake: Path, *words: str) -> _Page:
    """A page written by the command, read and found well-formed."""
    file = lake.parent / "page.html"
    assert main(["export", str(file), *words, "--lake", str(lake)]) == 0
    page = _Page()
    page.feed(file.read_text(encoding="utf-8"))
    assert page.open == []
    return page


def test_hostile_text_stays_text(tmp_path: Path) -> None:
    """Names, prompts, answers, arguments, results and errors are shown as they are."""
    with Lake(tmp_path / "lake") as lake, Tracer(lake) as tracer, tracer.agent(HOSTILE):
        message = {"role": "user", "content": HOSTILE}
        with tracer.llm(provider="openai", model=HOSTILE, messages=[message]) as call:
            call.finish(response=HOSTILE)
        with pytest.raises(RuntimeError), tracer.tool(HOSTILE, parameters={"a": HOSTILE}):
            raise RuntimeError(HOSTILE)
    page = page_of(tmp_path / "lake")
    assert page.count("script") == page.count("img") == 0
    assert page.count("details") == page.count("summary") == 3
    assert page.text.count(HOSTILE) >= 7
    policy = next(attrs["content"] for tag, attrs in page.tags if tag == "meta" and len(attrs) == 2)
    assert policy is not None
    assert policy.startswith("default-src 'none'")


def _call(number: int, messages: list[dict[str, Any]], answer: str) -> dict[str, Any]:
    return {
        "event_type": "llm_call",
        "trace_id": "t",
        "span_id": f"c{number}",
        "parent_id": "root",
        "timestamp": f"2026-11-22T10:00:0{number}Z",
        "agent_name": "planner",
        "data": {
            "model": "m",
            "system": "be brief",
            "messages": messages,
            "response": answer,
            "duration_ms": 500,
            "cost_usd": 0.25,
            "attributes": {"api": "chat"},
        },
    }


def test_a_call_shows_what_was_new_in_it(tmp_path: Path) -> None:
    """What it sent again is counted, not repeated; the sums of the trace stand above it."""
    first = [{"role": "user", "content": "alpha"}]
    more = [{"role": "assistant", "content": "beta"}, {"role": "user", "content": "gamma"}]
    root = {"event_type": "agent_start", "trace_id": "t", "span_id": "root"}
    with Lake(tmp_path / "lake") as lake:
        lake.append({**root, "timestamp": "2026-11-22T10:00:00Z", "agent_name": "planner"})
        lake.append(_call(1, first, "beta"))
        lake.append(_call(2, [*first, *more], "delta"))
    page = page_of(tmp_path / "lake")
    assert [page.text.count(word) for word in ("alpha", "gamma", "delta", "be brief")] == [1] * 4
    assert "1 message as in the call before" in page.text
    assert "$0.5" in page.text


def test_a_long_chain_of_spans_is_a_page(tmp_path: Path) -> None:
    """However deep a tree is, and where a parent is unknown or a circle."""
    with Lake(tmp_path / "lake") as lake:
        for number in range(1500):
            event = {"event_type": "tool_call", "trace_id": "t", "span_id": f"s{number}"}
            parent = {"parent_id": f"s{number - 1}", "timestamp": "2026-11-22T10:00:00Z"}
            lake.append({**event, **parent, "data": {"tool_name": f"tool {number}"}})
        for name, other in (("a", "b"), ("b", "a")):
            event = {"event_type": "tool_call", "trace_id": "circle", "span_id": name}
            lake.append({**event, "parent_id": other, "timestamp": "2026-11-22T10:00:00Z"})
    page = page_of(tmp_path / "lake")
    assert page.count("details") == 1502
    assert page.count("section") == 2


def test_a_page_holds_so_many_traces_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """More are refused, and what can be done is said; nothing is written."""
    monkeypatch.setattr("tracelake.cli.extract.TRACES_MAX", 1)
    with Lake(tmp_path / "lake") as lake, Tracer(lake) as tracer:
        for name in ("one", "two"):
            with tracer.agent(name):
                pass
    file = tmp_path / "page.html"
    assert main(["export", str(file), "--lake", str(tmp_path / "lake")]) == 2
    assert "2 traces are too many for a page, 1 fit" in capsys.readouterr().err
    assert not file.exists()
