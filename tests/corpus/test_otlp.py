"""What real instrumentations post becomes the right traces: kinds, one root, each call once."""

from __future__ import annotations

import json
import random
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from tests.corpus.cassettes import CORPUS
from tracelake.otlp import (
    Assembly,
    check_metrics,
    decode,
    decode_logs,
    events_of,
    message_events,
)
from tracelake.storage.codec import decode_events, encode_event
from tracelake.storage.fold import fold_events

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from tracelake.otlp import OtlpSpan

_ABSENT = pytest.mark.skip(reason=f"no recorded OTLP bodies: {CORPUS}/otlp is absent")


@dataclass(frozen=True, slots=True)
class Expected:
    """What one capture gives; it changes only with a reason.

    Attributes:
        calls: Model calls that were made (spans that are no duplicates).
        tokens: Input tokens of those, as the provider billed them (embeddings left out).
        told: Input tokens that its spans tell in sum, duplicates included.
        errors: Spans in error.
        agents: Names of agents that its program has.
        silent: Calls without content: it was not captured.
    """

    calls: int
    tokens: int
    told: int
    tools: int
    errors: int
    agents: frozenset[str] = frozenset()
    silent: int = 0


EXPECTED: dict[str, Expected] = {
    "claude_code_std": Expected(7, 910, 910, 5, 2, frozenset({"claude-code"}), silent=7),
    "genai2_agents_span": Expected(
        0, 0, 0, 14, 1, frozenset({"Triage agent", "Weather Agent", "Boss", "SubAgent"})
    ),
    "genai2_sdk_event": Expected(15, 1360, 1880, 0, 3),
    "genai2_sdk_span": Expected(15, 1360, 1880, 0, 3),
    "langfuse_sdk": Expected(2, 120, 120, 1, 1, frozenset({"boss", "weather-agent"})),
    "logfire": Expected(17, 1600, 2100, 2, 2, frozenset({"lf_agent"})),
    "long_oi": Expected(2, 240, 240, 0, 0),
    "oi_langgraph": Expected(
        12, 980, 1240, 8, 2, frozenset({"supervisor", "weather_expert", "claude_expert"})
    ),
    "oi_oaiagents": Expected(
        17, 1920, 1920, 15, 2, frozenset({"Triage agent", "Weather Agent", "Boss", "SubAgent"}),
        silent=1,
    ),
    "oi_oaiagents_plus_sdk": Expected(
        17, 1920, 3600, 15, 3, frozenset({"Triage agent", "Weather Agent", "Boss", "SubAgent"})
    ),
    "oi_sdk": Expected(15, 1360, 1880, 0, 3),
    "tl_sdk": Expected(16, 1360, 1880, 0, 3, silent=2),
}  # fmt: skip


def each_capture() -> pytest.MarkDecorator:
    """Parametrise a test by capture; one skip that says why when there is none."""
    names = sorted(path.name for path in (CORPUS / "otlp").glob("*") if path.is_dir())
    return pytest.mark.parametrize("name", names or [pytest.param("", marks=_ABSENT)])


def read_capture(name: str) -> list[dict[str, Any]]:
    """The spans of one capture as a reader of the lake sees them."""
    folder = CORPUS / "otlp" / name
    assembly = Assembly()
    events: list[dict[str, Any]] = []
    for line in (folder / "requests.jsonl").read_text().splitlines():
        request = json.loads(line)
        body = (folder / request["file"]).read_bytes()  # stored unpacked
        if request["path"].endswith("/traces"):
            batch = decode(body, request["content_type"])
            assert batch.rejected == 0
            events += assembly.add(events_of(batch.spans), now_s=0.0)
        elif request["path"].endswith("/logs"):
            records = decode_logs(body, request["content_type"])
            assert records
            events += message_events(records, place=assembly.place)
        else:
            check_metrics(body, request["content_type"])
    events += assembly.settle(now_s=1000.0)
    lines = b"".join(map(encode_event, events))
    return list(fold_events(decode_events(lines, "segment")).values())


def read_batches(batches: Iterable[list[OtlpSpan]]) -> dict[Any, Any]:
    """What readers see of spans that come in these batches: what is told of each, by span."""
    assembly = Assembly()
    events: list[dict[str, Any]] = []
    for batch in batches:
        events += assembly.add(events_of(batch), now_s=0.0)
    events += assembly.settle(now_s=1000.0)
    spans = fold_events(decode_events(b"".join(map(encode_event, events)), "segment"))
    told = ("kind", "role", "name", "agent_name", "parent_id", "duplicate_of", "status", "response")
    return {key: [span[name] for name in told] for key, span in spans.items()}


@each_capture()
def test_a_capture_gives_the_same_in_any_order(name: str) -> None:
    """Children first, roots first, shuffled, all at once or one by one: it is one program."""
    folder = CORPUS / "otlp" / name
    requests = map(json.loads, (folder / "requests.jsonl").read_text().splitlines())
    bodies = [
        ((folder / request["file"]).read_bytes(), request["content_type"])
        for request in requests
        if request["path"].endswith("/traces")
    ]

    def sent() -> list[OtlpSpan]:
        return [span for body in bodies for span in decode(*body).spans]

    wanted = read_batches([sent()])
    shuffled = random.Random(name).sample(sent(), len(sent()))
    for spans in (sent(), sent()[::-1], sorted(sent(), key=lambda s: s.start_ns), shuffled):
        assert read_batches([span] for span in spans) == wanted


@each_capture()
def test_a_capture_gives_the_program_that_ran(name: str, figures: Callable[[str], None]) -> None:
    """Calls, tokens, tools, errors and agents as they were; one root a trace."""
    spans = read_capture(name)
    roots = Counter(span["trace_id"] for span in spans if span["parent_id"] is None)
    assert set(roots.values()) == {1}
    orchestrators = Counter(s["trace_id"] for s in spans if s["role"] == "orchestrator")
    assert orchestrators == roots
    told = [span for span in spans if span["kind"] == "llm"]
    calls = [span for span in told if span["duplicate_of"] is None]
    found = Expected(
        calls=len(calls),
        tokens=sum(span["tokens_input"] or 0 for span in calls),
        told=sum(span["tokens_input"] or 0 for span in told),
        tools=sum(span["kind"] == "tool" for span in spans),
        errors=sum(span["status"] == "error" for span in spans),
        agents=frozenset(s["agent_name"] for s in spans if s["kind"] == "agent"),
        silent=sum(not span["messages"] for span in calls),
    )
    priced = sum(span["cost_usd"] is not None for span in calls)
    figures(
        f"{len(spans)} spans, {len(roots)} traces, {found.calls} calls ({priced} priced), "
        f"{found.tools} tools, {found.errors} errors, tokens {found.tokens} (told {found.told}), "
        f"{found.silent} without content; agents: {', '.join(sorted(found.agents))}"
    )
    wanted = EXPECTED[name]
    assert wanted.agents <= found.agents
    plain = {key: getattr(found, key) for key in Expected.__slots__ if key != "agents"}
    assert plain == {key: getattr(wanted, key) for key in plain}
    assert all(s["agent_name"] for s in spans if s["kind"] in {"llm", "tool", "agent"})
    assert {span["source"] for span in spans} == {"otlp"}
