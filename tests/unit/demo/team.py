"""The demo's team without the network: the script answers, the program's tools really run."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from tracelake.demo.offline.brain import think
from tracelake.demo.offline.conversation import Answer, Ask, ToolDefinition, Turn
from tracelake.demo.offline.conversation import ToolResult as Result
from tracelake.demo.program import DEFAULT_TASK, Repository, ToolUse, file_tools, prompt, run_tool

if TYPE_CHECKING:
    from collections.abc import Callable

    #: Gets agent, number of its turn and what the script answers; gives what is answered instead.
    Edit = Callable[[str, int, Answer], Answer]


def ask_of(agent: str, task: str, **changes: Any) -> Ask:
    """The first request of an agent, with every tool it has in the demo program."""
    names = (
        ("delegate", "run_tests")
        if agent == "orchestrator"
        else ("grep", "read_file", "list_files", "edit_file", "write_file")
    )
    ask = Ask(
        format="messages",
        model="claude-haiku-4-5",
        stream=False,
        system=prompt(agent),
        turns=(Turn("user", task),),
        tools=tuple(ToolDefinition(name, {}) for name in names),
        tool_choice=None,
        answer_schema=None,
        max_tokens=None,
        thinks=True,
        body={},
    )
    return replace(ask, **changes)


@dataclass
class Team:
    """Plays the program on a repository; `edit` may replace any answer, as a fork does.

    Attributes:
        asked: Agent, request and answer of every call, in order.
    """

    repository: Repository
    edit: Edit = lambda _agent, _turn, answer: answer
    asked: list[tuple[str, Ask, Answer]] = field(
        default_factory=list[tuple[str, Ask, Answer]], init=False
    )

    def run(self, task: str = DEFAULT_TASK) -> str:
        """The orchestrator's merged answer."""
        listing = "\n".join(f"- {name}" for name in self.repository.files())
        return self.play("orchestrator", f"{task}\n\nThe repository:\n\n{listing}")

    def play(self, agent: str, task: str, **changes: Any) -> str:
        """One agent's last answer."""
        ask = ask_of(agent, task, **changes)
        for number in range(12):
            answer = self.edit(agent, number, think(ask))
            self.asked.append((agent, ask, answer))
            if not answer.calls:
                return answer.text
            ids = [f"{agent}-{number}-{i}" for i in range(len(answer.calls))]
            calls = tuple(replace(c, id=i) for c, i in zip(answer.calls, ids, strict=True))
            results = tuple(Result(call.id, *self._tool(agent, call)) for call in calls)
            turns = (Turn("assistant", answer.text, calls), Turn("user", results=results))
            ask = replace(ask, turns=ask.turns + turns)
        raise AssertionError(f"the {agent} does not come to an end")

    def _tool(self, agent: str, call: Any) -> tuple[str, bool]:
        if call.name == "delegate":
            return self.play(call.arguments["agent"], call.arguments["assignment"]), False
        if call.name == "run_tests":
            return self.repository.run_tests(), False
        return run_tool(agent, file_tools(self.repository), ToolUse(call.name, call.arguments))
