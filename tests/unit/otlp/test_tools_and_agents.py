"""Tools and agents as instrumentations write them down, and the spans that tell them twice."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.otlp_bodies import START_NS, TRACE, pairs, span, span_id
from tests.unit.otlp.test_assembly import CHAT, agent, assembled, usage
from tests.unit.otlp.test_mapping import mapped

OI_TOOL = {"openinference.span.kind": "TOOL", "tool.name": "look"}
SCHEMA = json.dumps({"type": "object", "properties": {"a": {"type": "integer"}}})
MESSAGE = {"content": "21 degrees", "type": "tool", "name": "look", "tool_call_id": "c1"}
CONSTRUCTED = {"lc": 1, "type": "constructor", "id": ["langchain", "ToolMessage"]}


def tool(name: str) -> dict[str, Any]:
    """Attributes of a tool span."""
    return {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": name}


def happened(name: str, attributes: dict[str, Any]) -> dict[str, Any]:
    """An event of a span."""
    return {"name": name, "timeUnixNano": str(START_NS), "attributes": pairs(attributes)}


def test_what_a_tool_takes_is_not_what_it_got() -> None:
    """OpenInference's `tool.parameters` is the tool's schema; its input is the arguments."""
    given = {"input.value": '{"a": 1}', "tool.parameters": SCHEMA}
    assert mapped(attributes={**OI_TOOL, **given})["data"]["parameters"] == {"a": 1}
    alone = mapped(attributes={**OI_TOOL, "tool.parameters": '{"a": 2}'})["data"]
    assert alone["parameters"] == {"a": 2}


@pytest.mark.parametrize(
    "written",
    [
        {"type": "tool", "data": MESSAGE},
        {"output": MESSAGE},
        {"output": {**CONSTRUCTED, "kwargs": MESSAGE}, "kwargs": {"name": "look"}},
        MESSAGE,
    ],
    ids=["OpenInference", "LangSmith", "traceloop", "Langfuse"],
)
def test_a_tool_message_is_taken_for_what_it_says(written: dict[str, Any]) -> None:
    """The result of a LangChain tool is its text, and the call's id comes with it."""
    data = mapped(attributes={**OI_TOOL, "output.value": json.dumps(written)})["data"]
    assert (data["result"], data["tool_call_id"], data["status"]) == ("21 degrees", "c1", "ok")


def test_a_tool_message_may_say_that_the_tool_failed() -> None:
    """A failure that the framework caught is one all the same; the span's own error says more."""
    output = {"output.value": json.dumps({**MESSAGE, "content": "no!", "status": "error"})}
    data = mapped(attributes={**OI_TOOL, **output})["data"]
    assert (data["status"], data["error"], data["result"]) == ("error", "no!", "no!")
    failed = {"code": 2, "message": "ValueError: no!"}
    data = mapped(attributes={**OI_TOOL, **output}, status=failed)["data"]
    assert (data["status"], data["error"]) == ("error", "ValueError: no!")


def test_arguments_are_read_out_of_what_traceloop_writes_around_them() -> None:
    """`inputs` are the arguments, the rest is the callback's."""
    around = {"input_str": "{'a': 1}", "tags": [], "inputs": {"a": 1}}
    data = mapped(attributes={**tool("look"), "gen_ai.tool.call.arguments": json.dumps(around)})
    assert data["data"]["parameters"] == {"a": 1}


def test_strands_tells_tools_and_agents_in_events() -> None:
    """Arguments, result, task, answer and calls of Bedrock's form."""
    used = [{"toolUse": {"toolUseId": "c1", "name": "look", "input": {"a": 1}}}]
    events = [
        happened("gen_ai.tool.message", {"role": "tool", "content": '{"a": 1}', "id": "c1"}),
        happened("gen_ai.choice", {"message": '[{"text": "21 degrees"}]', "id": "c1"}),
    ]
    data = mapped(attributes=tool("look"), events=events)["data"]
    assert (data["parameters"], data["result"]) == ({"a": 1}, "21 degrees")

    events = [
        happened("gen_ai.system.message", {"content": '[{"text": "Be terse."}]'}),
        happened("gen_ai.user.message", {"content": '[{"text": "weather?"}]'}),
    ]
    said = [happened("gen_ai.choice", {"message": "Sunny.", "finish_reason": "end_turn"})]
    data = mapped(attributes=agent("boss"), events=events + said)["data"]
    assert (data["task"], data["response"]) == ("weather?", "Sunny.")

    asked = [happened("gen_ai.choice", {"message": json.dumps(used), "finish_reason": "tool_use"})]
    attributes = {**CHAT, "gen_ai.system": "strands-agents"}
    data = mapped(attributes=attributes, events=events + asked)["data"]
    assert (data["provider"], data["system"]) == ("openai", "Be terse.")
    assert data["messages"][1] == {"role": "user", "content": "weather?"}
    (call,) = data["response_blocks"][0]["message"]["tool_calls"]
    assert (call["id"], call["function"]) == ("c1", {"name": "look", "arguments": '{"a":1}'})


@pytest.mark.parametrize(
    "about",
    [
        {"openinference.span.kind": "CHAIN", "metadata": '{"lc_agent_name": "expert"}'},
        {"langsmith.span.kind": "chain", "langsmith.metadata.lc_agent_name": "expert"},
        {
            "langfuse.observation.type": "chain",
            "langfuse.observation.metadata.lc_agent_name": '"expert"',
        },
        {"mlflow.spanType": '"CHAIN"', "metadata": '{"lc_agent_name": "expert"}'},
        {
            "traceloop.span.kind": "task",
            "traceloop.entity.name": "expert",
            "traceloop.association.properties.lc_agent_name": "expert",
        },
    ],
)
def test_a_chain_that_is_called_like_its_agent_is_the_agent(about: dict[str, Any]) -> None:
    """LangChain's agents are agents in every convention; their parts stay chains."""
    event = mapped("expert", attributes=about)
    assert (event["data"]["kind"], event["agent_name"]) == ("agent", "expert")
    part = {**about, "traceloop.entity.name": "model"} if "traceloop.span.kind" in about else about
    assert mapped("model", attributes=part)["data"]["kind"] == "chain"


@pytest.mark.parametrize(
    ("output", "said"),
    [
        ('{"messages": [{"type": "human", "content": "q"}, {"type": "ai", "content": "a"}]}', "a"),
        ('{"raw": "a", "tasks_output": []}', "a"),
        ('{"outputs": {"messages": [{"role": "assistant", "content": "a"}]}}', "a"),
        ("a", "a"),
        ('{"n": 1}', '{"n": 1}'),
        ("null", None),
    ],
)
def test_the_answer_of_an_agent_is_its_last_word(output: str, said: str | None) -> None:
    """What a framework writes around it stays among the attributes."""
    data = mapped(
        attributes={"openinference.span.kind": "AGENT", "input.value": "q", "output.value": output}
    )["data"]
    assert (data["task"], data["response"]) == ("q", said)
    kept = None if said in {output, None} else output
    assert data["attributes"].get("output") == kept


def test_logfire_names_the_parts_of_openai_agents() -> None:
    """Agents and functions are told by their templates; answers stand last among the events."""

    def read(template: str, **attributes: Any) -> dict[str, Any]:
        return mapped(
            template,
            scope="logfire.openai_agents",
            attributes={"logfire.msg_template": template, "logfire.msg": "m", **attributes},
        )

    assert read("Agent run: {name!r}", name="Boss")["agent_name"] == "Boss"
    data = read("Function: {name}", name="look", input='{"a": 1}', output="21")["data"]
    assert (data["name"], data["parameters"], data["result"]) == ("look", {"a": 1}, "21")
    events = [
        {"event.name": "gen_ai.user.message", "content": "q", "role": "user"},
        {"event.name": "gen_ai.assistant.message", "content": "a", "role": "assistant"},
    ]
    about = {"gen_ai.request.model": "gpt-4.1", "events": json.dumps(events)}
    data = read("Responses API", **about)["data"]
    assert (len(data["messages"]), data["response"]) == (1, "a")


def test_definitions_of_tools_are_no_messages() -> None:
    """Langfuse puts them among the messages, or beside them."""
    look = {"type": "function", "function": {"name": "look", "parameters": {}}}
    user = {"role": "user", "content": "q"}
    for written in (
        [user, {"role": "tool", "content": look}],
        {"tools": [look], "messages": [user]},
    ):
        about = {
            "langfuse.observation.type": "generation",
            "langfuse.observation.input": json.dumps(written),
        }
        data = mapped(attributes=about)["data"]
        assert (data["messages"], data["tools"]) == ([user], [look])


def test_requests_and_answers_of_responses_are_conversations() -> None:
    """MLflow writes them as they are: instructions, input, items."""
    call = {"type": "function_call", "call_id": "c1", "name": "look", "arguments": "{}"}
    done = {"type": "function_call_output", "call_id": "c1", "output": "21"}
    asked = {"instructions": "Be terse.", "input": [{"role": "user", "content": "q"}, call, done]}
    answer = {"type": "message", "content": [{"type": "output_text", "text": "a"}]}
    data = mapped(
        attributes={
            "mlflow.spanType": '"CHAT_MODEL"',
            "mlflow.llm.model": '"gpt-4.1"',
            "mlflow.spanInputs": json.dumps(asked),
            "mlflow.spanOutputs": json.dumps({"object": "response", "output": [answer]}),
        }
    )["data"]
    assert [message["role"] for message in data["messages"]] == [
        "system",
        "user",
        "assistant",
        "tool",
    ]
    assert (data["model"], data["system"], data["response"]) == ("gpt-4.1", "Be terse.", "a")


def test_an_answer_of_langsmith_is_read() -> None:
    """Generations with a type: text, and why it ended."""
    message = {**CONSTRUCTED, "id": ["AIMessage"], "kwargs": {"type": "ai", "content": "a"}}
    generation = {"generation_info": {"finish_reason": "stop"}, "message": message}
    written = {"generations": [[generation]], "type": "LLMResult"}
    about = {"langsmith.span.kind": "llm", "gen_ai.completion": json.dumps(written)}
    data = mapped(attributes=about)["data"]
    assert (data["response"], data["finish_reason"]) == ("a", "stop")


def test_an_agent_with_two_spans_is_one_agent() -> None:
    """A span right inside, or an empty one beside, becomes a chain, in any order."""
    spans = [
        span(1, attributes=agent("boss"), end_ms=90),
        span(2, parent=1, attributes=agent("boss"), end_ms=80),
        span(3, parent=2, attributes=tool("ask"), end_ms=70),
        span(4, parent=3, attributes=agent("expert"), start_ms=1, end_ms=60),
        span(5, parent=3, attributes=agent("expert"), start_ms=2, end_ms=50),
        span(6, parent=5, attributes=CHAT, start_ms=3, end_ms=40),
    ]
    for batches in ([spans[::-1]], [[one] for one in reversed(spans)], [spans]):
        found = assembled(*batches)
        agents = [key for key, row in found.items() if row["kind"] == "agent"]
        assert sorted(agents) == [span_id(1), span_id(5)]
        assert found[span_id(6)]["agent_name"] == "expert"


def test_agents_at_work_together_stay_two() -> None:
    """Two runs of one agent at the same time are two agents."""
    found = assembled(
        [
            span(3, parent=2, attributes=CHAT),
            span(2, parent=1, attributes=agent("expert")),
            span(5, parent=4, attributes=CHAT),
            span(4, parent=1, attributes=agent("expert")),
            span(1, attributes=agent("boss")),
        ]
    )
    assert sum(row["kind"] == "agent" for row in found.values()) == 3


def test_an_agent_goes_below_the_tool_of_its_name_that_ran_meanwhile() -> None:
    """Agents as tools that were sent as neighbours of the agent that called them."""
    workflow = {"traceloop.span.kind": "workflow"}
    found = assembled(
        [
            span(5, parent=1, attributes=agent("Expert"), start_ms=30, end_ms=40),
            span(4, parent=1, attributes=agent("Other"), start_ms=30, end_ms=40),
            span(3, parent=2, attributes=tool("ask_expert"), start_ms=20, end_ms=50),
            span(2, parent=1, attributes=agent("Boss"), start_ms=1, end_ms=90),
            span(1, attributes=workflow),
        ]
    )
    moved, kept = found[span_id(5)], found[span_id(4)]
    assert (moved["parent_id"], moved["evidence"]) == (span_id(3), "inferred")
    assert (kept["parent_id"], kept["evidence"]) == (span_id(1), "recorded")


@pytest.mark.parametrize(("parent", "trace"), [(1, TRACE), (None, "1" * 32)])
def test_a_stream_that_is_told_at_its_end_counts_once(parent: int | None, trace: str) -> None:
    """Logfire's span of the stream counts, with its own times; the other two are copies."""
    streamed = {**usage(5), "logfire.span_type": "log", "duration": 0.05}
    spans = [
        span(2, parent=parent, attributes=CHAT, end_ms=20),
        span(3, parent=2, attributes=usage(5), end_ms=70),
        span(4, parent=parent, trace=trace, attributes=streamed, start_ms=75, end_ms=75),
        span(1),
    ]
    orders = ([spans], [[one] for one in spans], [[one] for one in reversed(spans)])
    for batches in orders:
        found = assembled(*batches, scope="logfire.openai")
        counted = [key for key, row in found.items() if row["kind"] == "llm"]
        counted = [key for key in counted if found[key]["duplicate_of"] is None]
        assert counted == [span_id(4)]
        assert found[span_id(4)]["duration_ms"] == pytest.approx(50)


@pytest.mark.parametrize(("total", "tokens"), [(35, 30), (15, 10)])
def test_counts_that_leave_out_cached_tokens_are_summed(total: int, tokens: int) -> None:
    """Langfuse's counts of LangChain add up to the total, those of OpenAI include each other."""
    usage_details = {"input": 10, "input_cache_read": 20, "output": 5, "total": total}
    about = {
        "langfuse.observation.type": "generation",
        "langfuse.observation.usage_details": json.dumps(usage_details),
    }
    data = mapped(attributes=about)["data"]
    assert (data["tokens_input"], data["tokens_cache_read"]) == (tokens, 20)
    assert data["tokens_output"] == 5


@pytest.mark.parametrize("reverse", [False, True])
def test_a_graph_inside_of_a_graph_is_an_agent(reverse: bool) -> None:
    """LangGraph's agents without a word for it: what lies one graph deeper is theirs."""

    def part(path: str) -> dict[str, Any]:
        about = {"langgraph_checkpoint_ns": path} if path else {}
        return {"openinference.span.kind": "CHAIN", "metadata": json.dumps(about)}

    spans = [
        span(5, "ChatOpenAI", parent=4, attributes=CHAT, end_ms=60),
        span(4, "agent", parent=3, attributes=part("expert:1|agent:2"), end_ms=70),
        span(3, "LangGraph", parent=2, attributes=part("expert:1"), end_ms=80),
        span(2, "expert", parent=1, attributes=part("expert:1"), end_ms=90),
        span(1, "LangGraph", attributes=part("")),
    ]
    spans = spans[::-1] if reverse else spans
    for batches in ([spans], [[one] for one in spans]):
        found = assembled(*batches)
        kinds = {key: row["kind"] for key, row in found.items()}
        assert kinds == {
            span_id(1): "agent",
            span_id(2): "chain",
            span_id(3): "agent",
            span_id(4): "chain",
            span_id(5): "llm",
        }
        assert found[span_id(5)]["agent_name"] == found[span_id(3)]["name"] == "expert"


def test_llamaindex_tells_agents_and_preparations_by_name() -> None:
    """An agent's run is an agent; a call that is only prepared is none."""
    scope = "openinference.instrumentation.llama_index"
    event = mapped(
        "FunctionAgent.run", scope=scope, attributes={"openinference.span.kind": "CHAIN"}
    )
    assert (event["data"]["kind"], event["agent_name"]) == ("agent", "FunctionAgent")
    call = {"openinference.span.kind": "LLM", "llm.model_name": "gpt-4.1"}
    assert mapped("X.chat", scope=scope, attributes=call)["data"]["kind"] == "llm"
    prepared = mapped("X._prepare_chat_with_tools", scope=scope, attributes=call)["data"]
    assert prepared["kind"] == "chain"
    written = {
        "input.value": '{"args": [], "sanitize_inputs_outputs": true, "kwargs": {"a": 1}}',
        "output.value": '{"blocks": [{"text": "21"}], "tool_name": "look"}',
    }
    data = mapped("X.acall", scope=scope, attributes={**OI_TOOL, **written})["data"]
    assert (data["parameters"], data["result"]) == ({"a": 1}, "21")


def test_the_model_is_read_from_the_answer_where_nothing_else_names_it() -> None:
    """LiteLLM's instrumentation records the answer alone."""
    answer = json.dumps({"id": "chatcmpl-1234567", "model": "gpt-4.1", "choices": []})
    about = {"openinference.span.kind": "LLM", "output.value": answer}
    data = mapped("completion", attributes=about)["data"]
    assert (data["model"], data["provider"], data["name"]) == ("gpt-4.1", "openai", "gpt-4.1")
