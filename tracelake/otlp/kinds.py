"""What kind of span each convention tells, as a table."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from tracelake.model import Kind


@dataclass(frozen=True, slots=True)
class KindRule:
    """How one convention tells the kind of a span.

    Attributes:
        convention: Its name, kept with the span.
        key: Attribute that holds the kind.
        kinds: Its values in lower case to ours.
        otherwise: Kind of a value that is not listed; None lets the next rule decide.
        scope: What the name of the instrumentation scope begins with.
    """

    convention: str
    key: str
    kinds: dict[str, Kind]
    otherwise: Kind | None = None
    scope: str = ""


_OPERATIONS: Final[dict[str, Kind]] = {
    "chat": "llm",
    "text_completion": "llm",
    "generate_content": "llm",
    "completion": "llm",
    "response": "llm",
    "embeddings": "embedding",
    "execute_tool": "tool",
    "invoke_agent": "agent",
    "create_agent": "chain",
    "invoke_workflow": "chain",
    "retrieval": "retriever",
}

_TRACELOOP_CREWAI: Final = "opentelemetry.instrumentation.crewai"

#: Names of spans whose attributes tell another kind, by scope: agents of LlamaIndex and Haystack
#: are chains by their instrumentations, and what LlamaIndex prepares for a model is a call of it.
KINDS_BY_NAME: Final[dict[str, tuple[tuple[re.Pattern[str], Kind], ...]]] = {
    "openinference.instrumentation.llama_index": (
        (re.compile(r"\w+(Agent|AgentWorkflow)\.run\Z"), "agent"),
        (re.compile(r"\w+\._prepare_chat_with_tools\Z"), "chain"),
    ),
    "openinference.instrumentation.haystack": ((re.compile(r"\w*Agent\.run\Z"), "agent"),),
}

#: The first rule whose attribute is there decides.
KIND_RULES: Final[tuple[KindRule, ...]] = (
    KindRule(
        "openinference",
        "openinference.span.kind",
        {
            "llm": "llm",
            "agent": "agent",
            "tool": "tool",
            "chain": "chain",
            "retriever": "retriever",
            "reranker": "retriever",
            "embedding": "embedding",
        },
        otherwise="chain",
    ),
    KindRule(
        "langfuse",
        "langfuse.observation.type",
        {
            "generation": "llm",
            "agent": "agent",
            "tool": "tool",
            "retriever": "retriever",
            "embedding": "embedding",
            "span": "chain",
            "chain": "chain",
        },
        otherwise="other",
    ),
    KindRule(
        "claude_code",
        "span.type",
        {"interaction": "agent", "llm_request": "llm", "tool": "tool"},
        otherwise="other",
        scope="com.anthropic.claude_code",
    ),
    KindRule(
        "langsmith",
        "langsmith.span.kind",
        {
            "llm": "llm",
            "tool": "tool",
            "retriever": "retriever",
            "embedding": "embedding",
            "chain": "chain",
        },
        otherwise="chain",
    ),
    # every span of a crew says that it invokes an agent
    KindRule("traceloop", "crewai.crew.id", {}, otherwise="chain", scope=_TRACELOOP_CREWAI),
    KindRule("traceloop", "traceloop.span.kind", {"task": "chain"}, scope=_TRACELOOP_CREWAI),
    KindRule(
        "logfire",
        "logfire.msg_template",
        {
            "function: {name}": "tool",
            "agent run: {name!r}": "agent",
            "openai agents trace: {name}": "chain",
        },
        scope="logfire.openai_agents",
    ),
    # ADK's sum of the results of parallel tools
    KindRule("genai", "gen_ai.tool.name", {"(merged tools)": "chain"}),
    # before traceloop: its spans of tools and models carry the operation too
    KindRule("genai", "gen_ai.operation.name", _OPERATIONS),
    KindRule(
        "traceloop",
        "traceloop.span.kind",
        {"workflow": "chain", "task": "chain", "agent": "agent", "tool": "tool"},
        otherwise="chain",
    ),
    KindRule(
        "traceloop",
        "llm.request.type",
        {"chat": "llm", "completion": "llm", "embedding": "embedding", "rerank": "retriever"},
    ),
    KindRule("genai", "gen_ai.operation.name", {}, otherwise="chain"),
    KindRule(
        "vercel",
        "ai.operationId",
        {
            "ai.generatetext.dogenerate": "llm",
            "ai.streamtext.dostream": "llm",
            "ai.generateobject.dogenerate": "llm",
            "ai.streamobject.dostream": "llm",
            "ai.toolcall": "tool",
            "ai.embed.doembed": "embedding",
            "ai.embedmany.doembed": "embedding",
        },
        otherwise="chain",
    ),
    KindRule(
        "mlflow",
        "mlflow.spanType",
        {
            "llm": "llm",
            "chat_model": "llm",
            "agent": "agent",
            "tool": "tool",
            "retriever": "retriever",
            "reranker": "retriever",
            "embedding": "embedding",
        },
        otherwise="chain",
    ),
    KindRule("genai", "gen_ai.tool.name", {}, otherwise="tool"),
    KindRule("genai", "gen_ai.request.model", {}, otherwise="llm"),
    KindRule("genai", "gen_ai.agent.name", {}, otherwise="agent"),
)
