"""What instrumentations call things: tables from attribute names to columns, and nothing else.

GenAI semantic conventions (old and new forms), OpenInference, traceloop / OpenLLMetry, Langfuse,
LangSmith, Logfire, Vercel, MLflow, Google's ADK and Claude Code. A convention that comes up is a
line here, and one in `kinds`.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from tracelake.model import Kind


#: Column (or a role of our own) to the attributes that tell it, best first.
FIELDS: Final[dict[str, tuple[str, ...]]] = {
    "model": (
        "gen_ai.response.model",
        "llm.model_name",
        "gen_ai.request.model",
        "embedding.model_name",
        "langfuse.observation.model.name",
        "ai.response.model",
        "ai.model.id",
        "mlflow.llm.model",
        "model",
    ),
    "request_model": ("gen_ai.request.model",),
    "provider": (
        "gen_ai.provider.name",
        "llm.provider",
        "gen_ai.system",
        "llm.system",
        "ai.model.provider",
        "mlflow.llm.provider",
    ),
    "tokens_input": (
        "gen_ai.usage.input_tokens",
        "llm.token_count.prompt",
        "gen_ai.usage.prompt_tokens",
        "ai.usage.inputTokens",
        "ai.usage.promptTokens",
        "llm.usage.prompt_tokens",
        "input_tokens",
    ),
    "tokens_output": (
        "gen_ai.usage.output_tokens",
        "llm.token_count.completion",
        "gen_ai.usage.completion_tokens",
        "ai.usage.outputTokens",
        "ai.usage.completionTokens",
        "llm.usage.completion_tokens",
        "output_tokens",
    ),
    "tokens_cache_read": (
        "gen_ai.usage.cache_read.input_tokens",
        "llm.token_count.prompt_details.cache_read",
        "gen_ai.usage.cache_read_input_tokens",
        "gen_ai.usage.details.cache_read_tokens",
        "ai.usage.cachedInputTokens",
        "cache_read_tokens",
    ),
    "tokens_cache_write": (
        "gen_ai.usage.cache_write.input_tokens",
        "gen_ai.usage.cache_creation.input_tokens",
        "llm.token_count.prompt_details.cache_write",
        "gen_ai.usage.cache_creation_input_tokens",
        "gen_ai.usage.details.cache_write_tokens",
        "cache_creation_tokens",
    ),
    "tokens_reasoning": (
        "gen_ai.usage.reasoning.output_tokens",
        "gen_ai.usage.reasoning_tokens",
        "gen_ai.usage.details.reasoning_tokens",
        "ai.usage.reasoningTokens",
        "llm.token_count.completion_details.reasoning",
    ),
    "usage": ("langfuse.observation.usage_details", "mlflow.chat.tokenUsage"),
    "cost_usd": (
        "operation.cost",
        "llm.cost.total",
        "gen_ai.usage.cost",
        "langfuse.observation.cost_details",
    ),
    "finish_reason": (
        "gen_ai.response.finish_reasons",
        "llm.finish_reason",
        "ai.response.finishReason",
        "stop_reason",
    ),
    "response_id": ("gen_ai.response.id", "ai.response.id", "response_id"),
    "input_messages": (
        "gen_ai.input.messages",
        "pydantic_ai.all_messages",
        "gen_ai.prompt",
        "ai.prompt.messages",
        "langfuse.observation.input",
        "mlflow.spanInputs",
        "gcp.vertex.agent.llm_request",
    ),
    "output_messages": (
        "gen_ai.output.messages",
        "gen_ai.completion",
        "langfuse.observation.output",
        "mlflow.spanOutputs",
        "gcp.vertex.agent.llm_response",
    ),
    "output_text": ("ai.response.text", "ai.response.object"),
    "output_calls": ("ai.response.toolCalls",),
    "message_events": ("events",),
    "system": ("gen_ai.system_instructions",),
    "tools": ("gen_ai.tool.definitions", "ai.prompt.tools", "mlflow.chat.tools"),
    "request": (
        "llm.invocation_parameters",
        "langfuse.observation.model.parameters",
        "invocation_params",
    ),
    "tool_name": ("gen_ai.tool.name", "tool.name", "tool_name", "ai.toolCall.name"),
    "tool_call_id": (
        "gen_ai.tool.call.id",
        "tool_call.id",
        "tool_use_id",
        "tool_call_id",
        "ai.toolCall.id",
        "langfuse.observation.metadata.tool_call_id",
    ),
    "parameters": (
        "gen_ai.tool.call.arguments",
        "tool_arguments",
        "tool_input",
        "ai.toolCall.args",
        "full_command",
    ),
    "result": ("gen_ai.tool.call.result", "tool_response", "ai.toolCall.result"),
    "input": (
        "input.value",
        "traceloop.entity.input",
        "gen_ai.task.input",
        "langfuse.observation.input",
        "gen_ai.prompt",
        "user_prompt",
        "mlflow.spanInputs",
        "gcp.vertex.agent.tool_call_args",
        "tool.parameters",  # what it takes, by OpenInference; what it got, by others
    ),
    "output": (
        "output.value",
        "traceloop.entity.output",
        "gen_ai.task.output",
        "langfuse.observation.output",
        "gen_ai.completion",
        "final_result",
        "mlflow.spanOutputs",
        "gcp.vertex.agent.tool_response",
    ),
    "agent_name": (
        "gen_ai.agent.name",
        "agent.name",
        "agent_name",
        "crewai.agent.role",
        "graph.node.id",
    ),
    "entity": ("traceloop.entity.name",),
    # of tools and agents only, where nothing says it better
    "own_name": ("name",),
    "own_input": ("input", "crewai.task.description"),
    "own_output": ("output", "crewai.crew.result"),
    "session_id": (
        "gen_ai.conversation.id",
        "session.id",
        "langfuse.session.id",
        "langsmith.metadata.session_id",
        "langsmith.metadata.thread_id",
        "traceloop.association.properties.session_id",
        "traceloop.association.properties.thread_id",
        "traceloop.association.properties.conversation_id",
        "langfuse.observation.metadata.thread_id",
    ),
    "error_type": ("error.type",),
    "success": ("success",),
    "ttft_s": ("gen_ai.response.time_to_first_chunk", "gen_ai.response.time_to_first_token"),
    "ttft_ms": ("ttft_ms", "ai.response.msToFirstChunk", "gen_ai.server.time_to_first_token"),
    "ttft_at": ("langfuse.observation.completion_start_time",),
    "title": ("logfire.msg",),
}
#: Attribute to the fields that it may tell, each with its rank.
READ_BY: Final[dict[str, tuple[tuple[str, int], ...]]] = {
    key: tuple((name, keys.index(key)) for name, keys in FIELDS.items() if key in keys)
    for key in {key for keys in FIELDS.values() for key in keys}
}

#: Beginnings of numbered attributes (`…N.rest`) to what they are pieces of.
NUMBERED: Final[dict[str, str]] = {
    "llm.input_messages.": "input_messages",
    "gen_ai.prompt.": "input_messages",
    "llm.output_messages.": "output_messages",
    "gen_ai.completion.": "output_messages",
    "llm.tools.": "tools",
    "llm.request.functions.": "tools",
}
#: Beginning of the parameters of a request.
REQUEST_START: Final = "gen_ai.request."

#: Fields that belong to a kind of span; of other kinds they are attributes like any other.
CALL_FIELDS: Final = frozenset(
    {
        "model",
        "provider",
        "tokens_input",
        "tokens_output",
        "tokens_cache_read",
        "tokens_cache_write",
        "tokens_reasoning",
        "usage",
        "cost_usd",
        "finish_reason",
        "response_id",
        "input_messages",
        "output_messages",
        "output_text",
        "output_calls",
        "message_events",
        "system",
        "tools",
        "request",
        "request_model",
        "ttft_s",
        "ttft_ms",
        "ttft_at",
        "input",
        "output",
    }
)
OWN_FIELDS: Final = frozenset({"own_name", "own_input", "own_output"})
TOOL_FIELDS: Final = OWN_FIELDS | {
    "tool_name",
    "tool_call_id",
    "parameters",
    "result",
    "input",
    "output",
    "entity",
}
AGENT_FIELDS: Final = OWN_FIELDS | {"input", "output", "entity"}
ANY_FIELDS: Final = frozenset({"agent_name", "session_id", "error_type", "success", "title"})
FIELDS_OF: Final[dict[Kind, frozenset[str]]] = {
    "llm": CALL_FIELDS | ANY_FIELDS,
    "embedding": CALL_FIELDS | ANY_FIELDS,
    "tool": TOOL_FIELDS | ANY_FIELDS,
    "retriever": TOOL_FIELDS | ANY_FIELDS,
    "agent": AGENT_FIELDS | ANY_FIELDS,
    "chain": ANY_FIELDS,
    "other": ANY_FIELDS,
}

#: Providers as conventions name them to what price lists call them.
PROVIDERS: Final[dict[str, str]] = {
    "azure.ai.openai": "azure",
    "azure.ai.inference": "azure",
    "az.ai.openai": "azure",
    "az.ai.inference": "azure",
    "azure_openai": "azure",
    "aws.bedrock": "aws",
    "aws_bedrock": "aws",
    "bedrock": "aws",
    "gcp.gemini": "google",
    "gcp.gen_ai": "google",
    "gcp.vertex_ai": "google",
    "vertex_ai": "google",
    "vertexai": "google",
    "gemini": "google",
    "mistral_ai": "mistral",
    "mistralai": "mistral",
    "x_ai": "x-ai",
    "xai": "x-ai",
    # frameworks, which call somebody's model
    "strands-agents": "",
    "langchain": "",
    "langgraph": "",
    "crewai": "",
    "autogen": "",
    "haystack": "",
    "semantic_kernel": "",
}

#: Scopes whose counts of input leave out what came from the cache.
WITHOUT_CACHED: Final = ("com.anthropic.claude_code",)

#: Errors by which frameworks steer themselves: part of their class or message.
CONTROL_FLOW: Final = ("ParentCommand", "GraphInterrupt", "GraphBubbleUp")

#: Span events that say when the first piece of an answer came.
FIRST_TOKEN_EVENTS: Final = frozenset(
    {"First Token Stream Event", "gen_ai.content.completion.chunk", "ai.stream.firstChunk"}
)
#: Span events of which nothing is kept but what they are read for.
DROPPED_EVENTS: Final = frozenset({"gen_ai.content.completion.chunk", "exception"})

#: Span events and log records that hold one message of the conversation, to its role.
MESSAGE_EVENTS: Final[dict[str, str]] = {
    "gen_ai.system.message": "system",
    "gen_ai.user.message": "user",
    "gen_ai.assistant.message": "assistant",
    "gen_ai.tool.message": "tool",
    "gen_ai.choice": "choice",
}
#: Those that hold the whole conversation in attributes, under the names of `FIELDS`.
DETAIL_EVENTS: Final = frozenset(
    {
        "gen_ai.client.inference.operation.details",
        "gen_ai.content.prompt",
        "gen_ai.content.completion",
    }
)

#: What a span's name says of an agent beside its name.
AGENT_NAME_NOISE: Final = ("invoke_agent ", "agent run ", ".agent", "._execute_core", ".run")
#: The same of a chain, at its beginning and at its end.
CHAIN_NAME_NOISE: Final = re.compile(
    r"^(invoke_workflow |execute_task |OpenAI Agents trace: )"
    r"|(?<=^Crew)_[0-9a-f]{8}-[0-9a-f-]{27}\.kickoff$"
    r"|(?<=.)\.(workflow|task)$"
)

#: Attributes that say which agent a part of a framework is in: LangChain's name of it, as each
#: instrumentation hands it on. A chain that is called like its agent is that agent's run.
RUNS_IN: Final = (
    "langsmith.metadata.lc_agent_name",
    "langfuse.observation.metadata.lc_agent_name",
    "traceloop.association.properties.lc_agent_name",
)
#: The same inside the JSON of the attribute `metadata`.
RUNS_IN_METADATA: Final = "lc_agent_name"
#: Where in LangGraph's graphs of graphs a span is: `node:id|node:id`, as it is handed on, and as
#: it stands inside the JSON of the attribute `metadata`.
GRAPH_PATH: Final = (
    "langsmith.metadata.langgraph_checkpoint_ns",
    "langfuse.observation.metadata.langgraph_checkpoint_ns",
    "traceloop.association.properties.langgraph_checkpoint_ns",
)
GRAPH_PATH_IN_METADATA: Final = re.compile(r'"langgraph_checkpoint_ns": ?"([^"]*)"')
#: What LangGraph calls a graph that has no name.
UNNAMED_GRAPH: Final = "LangGraph"
#: Conventions that write every attribute as JSON, texts in quotes.
QUOTED: Final = frozenset({"mlflow"})

#: Value of `logfire.span_type` of a span that only announces another one.
PENDING: Final = ("logfire.span_type", "pending_span")
#: And of one that tells afterwards what another one streamed, which took `duration` seconds.
STREAMED: Final = ("logfire.span_type", "log")
