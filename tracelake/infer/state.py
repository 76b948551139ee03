"""What the inference remembers of the calls it has seen: calls, tools, threads, agents, traces.

Plain records without behaviour. Prompts and answers are not kept: a call holds keys of its content,
so that memory grows with what is new in a conversation, not with what is sent again.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from datetime import datetime

    from tracelake.infer.corrections import Unlinked
    from tracelake.infer.identity import Persona
    from tracelake.infer.phrases import PhraseIndex
    from tracelake.infer.scope import Scope
    from tracelake.infer.threads import ThreadIndex
    from tracelake.model import Kind, Status


@dataclass(frozen=True, slots=True)
class Evidence:
    """Why something inferred is believed.

    Attributes:
        source: For example `header`, `prefix`, `tool_text`, `flow`, `result`, `time`, `identity`.
        confidence: 0 to 1.
    """

    source: str
    confidence: float


@dataclass(slots=True, eq=False)
class ToolCall:
    """One tool call of an answer, and what is known of its result."""

    span_id: str
    call: Call
    call_id: str | None
    name: str
    arguments: str
    start: datetime
    evidence: Evidence
    end: datetime | None = None
    status: Status = "running"
    #: Ended without a result, which may yet come.
    is_unanswered: bool = False
    #: Name that its result gives the agent it started.
    given_name: str | None = None
    #: Agents that this call started.
    children: list[Agent] = field(default_factory=list["Agent"])


@dataclass(slots=True, eq=False)
class Call:
    """One provider call.

    Attributes:
        position: Number of core atoms of the request.
        answer_key: Key of the answer's core atoms, `answer_length` of them; None while running.
        answer_characters: Length of the answer's text.
        answer_head: The beginning of the answer's text.
        answer_parts: Parts of the answer that later prompts can be seen to repeat.
        last_message: Length and hash of the user's message that ends the request, if one does.
        is_summary: The call asked to sum up its conversation.
        is_continued: A later call of the same thread exists.
    again: The same request once more, sent after this one was answered.
    """

    span_id: str
    trace: Trace
    agent: Agent
    thread: Thread | None
    persona: Persona
    scope: Scope
    start: datetime
    evidence: Evidence
    model: str | None = None
    position: int = 0
    #: When its answer began to arrive; a client may act on it from then on.
    first_byte: datetime | None = None
    end: datetime | None = None
    status: Status = "running"
    answer_key: int | None = None
    answer_length: int = 0
    answer_characters: int = 0
    answer_head: str = ""
    answer_parts: int = 0
    last_message: tuple[int, int] | None = None
    is_summary: bool = False
    kind: Kind = "llm"
    is_continued: bool = False
    again: Call | None = None
    is_auxiliary: bool = False
    tools: list[ToolCall] = field(default_factory=list[ToolCall])


@dataclass(slots=True, eq=False)
class Thread:
    """A conversation: calls that continue each other."""

    thread_id: str
    agent: Agent
    #: The beginning of its first message.
    opening: str = ""
    #: Agents that have spoken in it, in order of appearance.
    speakers: list[Agent] = field(default_factory=list["Agent"])
    calls: list[Call] = field(default_factory=list[Call])
    #: Conversations of the same agent that were not at rest when this one began.
    beside: list[Thread] = field(default_factory=list["Thread"])

    @property
    def is_at_rest(self) -> bool:
        """Whether its last call was answered, and asks for no tool that has no result yet."""
        last = self.calls[-1]
        awaiting = last.agent.awaiting
        return last.end is not None and not any(t.span_id in awaiting for t in last.tools)


@dataclass(slots=True, eq=False)
class Agent:
    """One agent of a trace.

    Attributes:
        parent_id: Span it hangs on; None for the root.
        via: Tool call that delegated to it.
        parent: Agent that delegated to it; None for a top-level agent.
        is_provisional: Made for auxiliary calls only; the first real agent takes it over.
        is_weak: Its parent rests on time alone and may be corrected.
        awaiting: Tool calls of the agent without a result yet, by span id.
    """

    span_id: str
    trace: Trace
    name: str
    name_rank: int
    persona: Persona
    start: datetime
    evidence: Evidence
    key: str | None = None
    parent_id: str | None = None
    via: ToolCall | None = None
    parent: Agent | None = None
    role: str = "agent"
    is_provisional: bool = False
    is_weak: bool = False
    status: Status = "running"
    end: datetime | None = None
    last_activity: datetime | None = None
    last_status: Status = "ok"
    in_flight: int = 0
    children: list[Agent] = field(default_factory=list["Agent"])
    #: The latest agent that each of its delegations started, by `origin`.
    started: dict[int, Agent] = field(default_factory=dict[int, "Agent"])
    threads: list[Thread] = field(default_factory=list[Thread])
    calls: list[Call] = field(default_factory=list[Call])
    personas: dict[str, Persona] = field(default_factory=dict[str, "Persona"])
    awaiting: dict[str, ToolCall] = field(default_factory=dict[str, ToolCall])


@dataclass(slots=True, eq=False)
class Trace:
    """One trace while it is live."""

    trace_id: str
    scope_key: str | None
    program: str | None
    start: datetime
    last_activity: datetime
    threads: ThreadIndex
    phrases: PhraseIndex
    session_id: str | None = None
    run_id: str | None = None
    processes: set[str] = field(default_factory=set[str])
    root: Agent | None = None
    #: Set when the root was made up to hold several top-level agents.
    has_inferred_root: bool = False
    agents: list[Agent] = field(default_factory=list[Agent])
    #: Agents that stood at the top or on time alone when last looked at.
    loose: dict[str, Agent] = field(default_factory=dict[str, Agent])
    by_key: dict[str, Agent] = field(default_factory=dict[str, Agent])
    tools_by_id: dict[str, ToolCall] = field(default_factory=dict[str, ToolCall])
    #: Results that came before their call was read: id → (text, is_error, time).
    early_results: dict[str, tuple[str, bool | None, datetime]] = field(
        default_factory=dict[str, "tuple[str, bool | None, datetime]"]
    )
    #: Names of tools that were seen to return without starting an agent.
    leaf_tools: set[str] = field(default_factory=set[str])
    #: Ids that results of tool calls tell, by which a spawned agent may name itself.
    told_ids: dict[str, ToolCall] = field(default_factory=dict[str, ToolCall])
    #: Fingerprints of the prompts that spoke, in order of appearance; of unknown clients only.
    personas: dict[str, None] = field(default_factory=dict[str, None])
    #: Who was asked what first, by a hash of the first message; of unknown clients only.
    asked_first: dict[int, list[Persona]] = field(default_factory=dict[int, "list[Persona]"])
    #: Conversations that may turn out to be started by a call in flight.
    unlinked: list[Unlinked] = field(default_factory=list["Unlinked"])
    calls_in_flight: int = 0
    is_over: bool = False
    attributes: dict[str, Any] = field(default_factory=dict[str, Any])
