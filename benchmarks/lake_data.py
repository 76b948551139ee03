"""Seeded traces for the lake's benchmarks; the text is real: the standard library's own sources.

conversations(traces, turns)   agents whose every call resends its whole history
mix(traces)                    short and long runs, tools, sub-agents, 6 % of them failing
small_spans(days, per_day)     frames of spans with small payloads, for queries over many rows
"""

from __future__ import annotations

import random
import sysconfig
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from tracelake.schema import SPANS, polars_schema

if TYPE_CHECKING:
    from collections.abc import Iterator

T0 = datetime(2025, 11, 1, tzinfo=UTC)
AGENTS = ("orchestrator", "planner", "coder", "reviewer", "tester", "searcher")
MODELS = ("claude-sonnet-4-5", "claude-haiku-4-5", "gpt-5", "gpt-5-mini")
TOOLS = ("grep", "read_file", "write_file", "run_tests", "list_files")


TOOL_DEFINITIONS = [
    {
        "name": tool,
        "description": f"Use {tool} to work on the repository. Paths are relative to its root. "
        * 2,
        "input_schema": {
            "type": "object",
            "properties": {name: {"type": "string"} for name in ("path", "pattern", "reason")},
            "required": ["path"],
        },
    }
    for tool in TOOLS
]


@lru_cache(maxsize=1)
def corpus() -> str:
    """Some megabytes of source text, the same for one Python version."""
    folder = Path(sysconfig.get_path("stdlib"))
    parts = [path.read_text("utf-8", "replace") for path in sorted(folder.glob("*.py"))]
    return "\n".join(parts)


def text(chance: random.Random, chars: int) -> str:
    """A piece of real text of about that length."""
    start = chance.randrange(len(corpus()) - chars)
    return corpus()[start : start + chars]


def conversations(traces: int, turns: int, seed: int = 1) -> Iterator[dict[str, Any]]:
    """Events of agents at work at once, each call with its whole history, in time order."""
    chance = random.Random(seed)
    running = [_Agent(f"conv-{n}", chance, turns, "coder", 1500, 2500) for n in range(traces)]
    yield from _interleaved(running, chance)


def mix(traces: int, seed: int = 2) -> Iterator[dict[str, Any]]:
    """Events of ordinary runs: 3 to 16 turns an agent, up to three agents, tools, some failing.

    About 8 KB of JSONL a span, which is what recorded runs of coding agents come to.
    """
    chance = random.Random(seed)
    running: list[_Agent] = []
    for number in range(traces):
        root = _Agent(f"mix-{number}", chance, chance.randrange(3, 17), AGENTS[0], 1500, 2500)
        running.append(root)
        for name in chance.sample(AGENTS[1:], chance.randrange(3)):
            turns = chance.randrange(3, 12)
            running.append(_Agent(root.trace_id, chance, turns, name, 1000, 2000, parent=root))
    yield from _interleaved(running, chance)


class _Agent:
    """One agent's events, in order."""

    def __init__(  # noqa: PLR0917 - built in one place only
        self, trace_id: str, chance: random.Random, turns: int, name: str,
        prompt_chars: int, result_chars: int, parent: _Agent | None = None,
    ) -> None:  # fmt: skip
        self.trace_id = trace_id
        self.span_id = f"{chance.getrandbits(64):016x}"
        self._parent = parent
        self._chance = chance
        self._name = name
        self._turns = turns
        self._prompt_chars = prompt_chars
        self._result_chars = result_chars

    def events(self, clock: list[datetime]) -> Iterator[dict[str, Any]]:
        chance, model = self._chance, self._chance.choice(MODELS)
        system = corpus()[1000 * len(self._name) :][: self._prompt_chars * 2]
        history: list[dict[str, Any]] = [
            {"role": "user", "content": text(chance, self._prompt_chars)}
        ]
        parent = self._parent.span_id if self._parent else None
        yield self._event("agent_start", self.span_id, parent, clock[0], name=self._name)
        for turn in range(self._turns):
            fails = chance.random() < 0.06
            call = f"{self.span_id}-l{turn}"
            yield self._event(
                "llm_call", call, self.span_id, clock[0], status="running", model=model,
                provider="anthropic", system=system, messages=list(history), source="proxy",
                tools=TOOL_DEFINITIONS,
            )  # fmt: skip
            answer = text(chance, 400)
            size = sum(len(message["content"]) for message in history) // 4
            yield self._event(
                "llm_call", call, self.span_id, clock[0], status="ok", response=answer,
                tokens={"input": size, "output": 100}, cost_usd=size * 3e-6, finish_reason="stop",
            )  # fmt: skip
            tool, result = chance.choice(TOOLS), text(chance, chance.randrange(self._result_chars))
            yield self._event(
                "tool_call", f"{self.span_id}-t{turn}", self.span_id, clock[0], tool_name=tool,
                parameters={"path": f"src/{turn}.py"}, result=result, duration_ms=20.0,
                error="exit status 1" if fails else None,
            )  # fmt: skip
            history += [
                {"role": "assistant", "content": answer},
                {"role": "user", "content": result},
            ]
        yield self._event("agent_end", self.span_id, parent, clock[0], status="ok")

    def _event(
        self, kind: str, span_id: str, parent: str | None, at: datetime, **data: Any
    ) -> dict[str, Any]:
        return {
            "event_type": kind,
            "trace_id": self.trace_id,
            "span_id": span_id,
            "parent_id": parent,
            "timestamp": at,
            "agent_name": self._name,
            "data": data,
        }


def _interleaved(agents: list[_Agent], chance: random.Random) -> Iterator[dict[str, Any]]:
    clock = [T0]
    streams = [agent.events(clock) for agent in agents]
    while streams:
        place = chance.randrange(min(len(streams), 30))
        clock[0] += timedelta(milliseconds=chance.randrange(1, 200))
        event = next(streams[place], None)
        if event is None:
            streams.pop(place)
        else:
            yield event


def small_spans(
    days: int, per_day: int, payload_chars: int = 300, seed: int = 3
) -> Iterator[pl.DataFrame]:
    """One frame of folded spans per day: 27 spans a trace, 6 % of the traces failing.

    The prompt of a call is a piece of real text, shared by the calls of a trace as history is.
    """
    schema = polars_schema(SPANS)
    for day in range(days):
        chance = random.Random(seed * 1000 + day)
        starts = T0 + timedelta(days=day)
        traces = max(per_day // 27, 1)
        columns: dict[str, list[Any]] = {name: [] for name in _SMALL}
        for number in range(traces):
            trace_id = f"{chance.getrandbits(128):032x}"
            begin = starts + timedelta(seconds=86000 * number / traces)
            fails, prompt = chance.random() < 0.06, text(chance, payload_chars)
            for span in range(27):
                kind = "agent" if span % 9 == 0 else ("llm" if span % 2 else "tool")
                agent = AGENTS[span // 9]
                at = begin + timedelta(milliseconds=500 * span)
                row = (
                    trace_id, f"s{span}", None if span == 0 else f"s{span // 9 * 9}", kind, agent,
                    at, at + timedelta(milliseconds=400), 400.0,
                    "error" if fails and span == 26 else "ok",
                    MODELS[number % 4] if kind == "llm" else None,
                    prompt if kind == "llm" else None, prompt[:50] if kind == "llm" else None,
                    TOOLS[span % 5] if kind == "tool" else None,
                    500 + span if kind == "llm" else None, 0.001 if kind == "llm" else None,
                )  # fmt: skip
                for name, value in zip(_SMALL, row, strict=True):
                    columns[name].append(value)
        narrow = pl.DataFrame(columns, schema={name: schema[name] for name in _SMALL})
        yield narrow.with_columns(
            pl.lit(0, pl.Int64).alias("revision"),
            pl.col("start_time").dt.date().alias("date"),
            *(
                pl.lit(None, schema[n]).alias(n)
                for n in schema
                if n not in {*_SMALL, "revision", "date"}
            ),
        ).select(list(schema))


_SMALL = (
    "trace_id", "span_id", "parent_id", "kind", "agent_name", "start_time", "end_time",
    "duration_ms", "status", "model", "messages", "response", "tool_name", "tokens_input",
    "cost_usd",
)  # fmt: skip
