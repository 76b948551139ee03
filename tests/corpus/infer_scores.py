"""How much of a labelled capture the inference got right, as precision and recall."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING, Any

from tracelake.model import derived_id

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tests.corpus.infer_labels import Labels


@dataclass(frozen=True, slots=True)
class Score:
    """Facts found and facts true."""

    right: int
    found: int
    true: int

    @property
    def is_perfect(self) -> bool:
        """Nothing wrong, nothing missing."""
        return self.right == self.found == self.true

    def __str__(self) -> str:
        precision = self.right / self.found if self.found else 1.0
        recall = self.right / self.true if self.true else 1.0
        return f"{self.right:3d}/{self.true:<3d} P {precision:.3f} R {recall:.3f}"


def _score(found: set[Any], true: set[Any]) -> Score:
    return Score(len(found & true), len(found), len(true))


def _pairs(groups: Iterable[Iterable[Any]]) -> set[tuple[Any, Any]]:
    return {pair for group in groups for pair in combinations(sorted(set(group)), 2)}


def _by(spans: Iterable[dict[str, Any]], key: Any) -> list[list[str]]:
    groups: dict[Any, list[str]] = {}
    for span in spans:
        groups.setdefault(key(span), []).append(span["span_id"])
    return list(groups.values())


def scores(name: str, labels: Labels, spans: list[dict[str, Any]]) -> dict[str, Score]:
    """Scores of threads, agents, parents and tool results of a capture's spans."""
    import json

    by_id = {span["span_id"]: span for span in spans}

    def call_id(n: int) -> str:
        return derived_id(name, n)

    calls = [s for s in spans if s["kind"] == "llm" and not s["auxiliary"]]
    threads = _by(calls, lambda s: json.loads(s["attributes"])["thread"])
    true_threads = [[call_id(n) for n in thread] for thread in labels.threads]
    true_agents = [[call_id(n) for n in _own(labels, agent)] for agent in labels.agents]
    return {
        "threads": _score(_pairs(threads), _pairs(true_threads)),
        "agents": _score(_pairs(_by(calls, lambda s: s["parent_id"])), _pairs(true_agents)),
        "parents": _score(_found_parents(calls, by_id), _true_parents(labels, call_id)),
        "tools": _score(_found_results(spans, by_id), _true_results(labels, call_id)),
    }


def _own(labels: Labels, agent: str) -> list[int]:
    """The calls of an agent: in a shared conversation, all but those of the agents before."""
    numbers = [n for thread in labels.agents[agent] for n in thread]
    before: set[int] = set()
    for other, threads in labels.agents.items():
        if other == agent:
            break
        before |= {n for thread in threads for n in thread}
    return [n for n in numbers if n not in before]


def _true_parents(labels: Labels, call_id: Any) -> set[tuple[str, str]]:
    first = {agent: call_id(_own(labels, agent)[0]) for agent in labels.agents}
    true: set[tuple[str, str]] = set()
    for agent, parent in labels.parents.items():
        if isinstance(parent, str):
            true.add((first[agent], first[parent]))
        elif parent is not None:
            true.add((first[agent], derived_id(call_id(parent[0]), "tool", parent[1])))
    return true


def _found_parents(
    calls: list[dict[str, Any]], by_id: dict[str, dict[str, Any]]
) -> set[tuple[str, str]]:
    """(first call of an agent, its tool span or the first call of the agent above)."""
    first: dict[str, str] = {}
    for call in sorted(calls, key=lambda s: s["start_time"]):
        first.setdefault(call["parent_id"], call["span_id"])
    found: set[tuple[str, str]] = set()
    for agent_id, call_id in first.items():
        above = by_id[agent_id]["parent_id"]
        if above is not None and above in by_id and above in first:
            found.add((call_id, first[above]))
        elif above is not None and by_id[above]["kind"] == "tool":
            found.add((call_id, above))
    return found


def _true_results(labels: Labels, call_id: Any) -> set[tuple[str, str, str]]:
    return {
        (
            derived_id(call_id(number), "tool", place),
            call_id(carrier),
            "error" if is_error else "ok",
        )
        for (number, place), (carrier, is_error) in labels.results.items()
    }


def _found_results(
    spans: list[dict[str, Any]], by_id: dict[str, dict[str, Any]]
) -> set[tuple[str, str, str]]:
    starts = {s["start_time"]: s["span_id"] for s in spans if s["kind"] == "llm"}
    return {
        (span["span_id"], starts.get(span["end_time"], "?"), span["status"])
        for span in spans
        if span["kind"] == "tool" and span["result"] is not None
    }
