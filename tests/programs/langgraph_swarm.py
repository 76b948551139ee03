"""LangGraph agents that hand one conversation over to each other and back."""

import sys
from collections.abc import Callable

from langchain_core.messages import AIMessage, ToolMessage
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.prebuilt import ToolNode

MODEL = ChatOpenAI(model="gpt-4.1-mini")
PROMPTS = {
    "desk": "You are the help desk coordinator. Hand over to a specialist, then close the ticket.",
    "billing": "You are the billing specialist of a phone company.",
    "network": "You are the network specialist of a phone company.",
}


@tool
def transfer_to_billing() -> str:
    """Hand the conversation over to billing."""
    return "Successfully transferred to billing"


@tool
def transfer_to_network() -> str:
    """Hand the conversation over to network."""
    return "Successfully transferred to network"


@tool
def read_invoice(number: str) -> str:
    """Read an invoice."""
    return f"Invoice {number}: 42.00 EUR, roaming 12.00 EUR"


@tool
def measure_line(line: str) -> str:
    """Measure a line."""
    raise ConnectionError(f"line {line} does not answer")


TOOLS = {
    "desk": [transfer_to_billing, transfer_to_network],
    "billing": [read_invoice],
    "network": [measure_line],
}


def thinker(agent: str) -> Callable[[MessagesState], dict]:
    """A node that asks the model in an agent's name."""
    model = MODEL.bind_tools(TOOLS[agent])

    def think(state: MessagesState) -> dict:
        return {"messages": [model.invoke([("system", PROMPTS[agent]), *state["messages"]])]}

    return think


def after(agent: str) -> Callable[[MessagesState], str]:
    """Where to go after an agent spoke: its tools, or back to the desk."""

    def choose(state: MessagesState) -> str:
        last = state["messages"][-1]
        if isinstance(last, AIMessage) and last.tool_calls:
            return f"{agent}_tools"
        return "__end__" if agent == "desk" else "desk"

    return choose


def chosen(state: MessagesState) -> str:
    """The agent that the desk has just transferred to."""
    transfers = [m.name for m in state["messages"] if isinstance(m, ToolMessage)]
    return next(n for n in reversed(transfers) if n.startswith("transfer"))[len("transfer_to_") :]


def main() -> None:
    """Work on one ticket."""
    graph = StateGraph(MessagesState)
    for agent in PROMPTS:
        graph.add_node(agent, thinker(agent))
        graph.add_conditional_edges(agent, after(agent))
    graph.add_node("desk_tools", ToolNode(TOOLS["desk"]))
    graph.add_conditional_edges("desk_tools", chosen)
    for agent in ("billing", "network"):
        graph.add_node(f"{agent}_tools", ToolNode(TOOLS[agent], handle_tool_errors=True))
        graph.add_edge(f"{agent}_tools", agent)
    graph.add_edge(START, "desk")
    state = graph.compile().invoke({"messages": [("user", sys.argv[1])]})
    print(state["messages"][-1].content)


main()
