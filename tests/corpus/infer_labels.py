"""What really happened in each capture: conversations, agents, parents, tool results.

Written by hand from the captures. Calls are named by their number `n` in the capture, tool calls by
(number of the call that asked, place in its answer).
"""

from __future__ import annotations

from dataclasses import dataclass, field

Tool = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Labels:
    """The truth about one capture.

    Attributes:
        agents: Agent to its conversations, each the numbers of its calls in order.
        parents: Agent to the tool call that started it, the agent that did, or None at the top.
        results: Tool call to the call that carries its result, and whether it is an error.
        auxiliary: Calls that are not an agent's.
    """

    agents: dict[str, list[list[int]]]
    parents: dict[str, Tool | str | None]
    results: dict[Tool, tuple[int, bool]] = field(default_factory=dict[Tool, "tuple[int, bool]"])
    auxiliary: tuple[int, ...] = ()

    @property
    def threads(self) -> list[list[int]]:
        """Conversations, including those that several agents shared."""
        joined: dict[int, list[int]] = {}
        for conversations in self.agents.values():
            for calls in conversations:
                joined.setdefault(calls[0], []).extend(calls)
        return [sorted(calls) for calls in joined.values()]


LABELS: dict[str, Labels] = {
    "anton_openai": Labels(
        agents={
            "orchestrator": [[1, 2], [3, 13]],
            "billing": [[4, 6, 8]],
            "auth": [[5, 7, 9]],
            "report": [[10, 11, 12]],
        },
        parents={
            "orchestrator": None,
            "billing": "orchestrator",
            "auth": "orchestrator",
            "report": "orchestrator",
        },
        results={
            (1, 0): (2, False),
            (1, 1): (2, False),
            (4, 0): (6, False),
            (5, 0): (7, False),
            (6, 0): (8, False),
            (6, 1): (8, True),
            (7, 0): (9, False),
            (7, 1): (9, True),
            (10, 0): (11, False),
            (11, 0): (12, False),
            (11, 1): (12, True),
        },
    ),
    "crewai": Labels(
        agents={"researcher": [[50, 51]], "writer": [[52]]},
        parents={"researcher": None, "writer": None},
        results={(50, 0): (51, False)},
    ),
    "langgraph_openai": Labels(
        agents={"main": [[39, 44, 45]], "key1": [[40, 42]], "key2": [[41, 43]]},
        parents={"main": None, "key1": (39, 0), "key2": (39, 1)},
        results={
            (39, 0): (44, False),
            (39, 1): (44, False),
            (40, 0): (42, False),
            (41, 0): (43, False),
            (44, 0): (45, True),
        },
    ),
    "openai_agents_responses": Labels(
        # the last call goes on in the conversation of the first, under another prompt
        agents={
            "triage": [[11, 16]],
            "spanish": [[11, 17]],
            "researcher": [[12, 15]],
            "booker": [[13, 14]],
        },
        parents={"triage": None, "spanish": (16, 0), "researcher": (11, 0), "booker": (11, 1)},
        results={
            (11, 0): (16, False),
            (11, 1): (16, False),
            (12, 0): (15, False),
            (13, 0): (14, True),
            (16, 0): (17, False),
        },
    ),
    "pydantic_ai_anthropic": Labels(
        agents={"main": [[25, 30, 31]], "key1": [[26, 28]], "key2": [[27, 29]]},
        parents={"main": None, "key1": (25, 0), "key2": (25, 1)},
        results={
            (25, 0): (30, False),
            (25, 1): (30, False),
            (26, 0): (28, False),
            (27, 0): (29, False),
            (30, 0): (31, True),
        },
    ),
    "sdk_all": Labels(
        agents={"program": [[2], [3], [6], [7], [8], [10]]},
        parents={"program": None},
        auxiliary=(4, 5, 9),
    ),
}
