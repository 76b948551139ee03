"""A LangGraph supervisor whose tools are worker agents with tools of their own."""

import asyncio
import sys

from langchain_core.tools import tool
from langchain_openai import ChatOpenAI
from langgraph.prebuilt import ToolNode, create_react_agent

MODEL = ChatOpenAI(model="gpt-4.1-mini", streaming=True)


@tool
def search_notes(query: str) -> str:
    """Search the notes of the desk."""
    return f"Notes about {query}: three entries found."


@tool
def hotel_price(city: str, nights: int) -> str:
    """Price of a hotel."""
    if nights > 30:
        raise ValueError(f"no hotel in {city} takes {nights} nights")
    return f"{nights} nights in {city}: {95 * nights} EUR"


RESEARCHER = create_react_agent(
    MODEL, [search_notes], prompt="You are a researcher. Use the notes and answer in one sentence."
)
PLANNER = create_react_agent(
    MODEL,
    ToolNode([hotel_price], handle_tool_errors=True),
    prompt="You are a budget planner who adds up what a journey costs.",
)


@tool
async def ask_researcher(question: str) -> str:
    """Ask the researcher."""
    state = await RESEARCHER.ainvoke({"messages": [("user", question)]})
    return state["messages"][-1].content


@tool
async def ask_planner(request: str) -> str:
    """Ask the budget planner."""
    state = await PLANNER.ainvoke({"messages": [("user", request)]})
    return state["messages"][-1].content


async def main() -> None:
    """Plan one journey."""
    supervisor = create_react_agent(
        MODEL,
        [ask_researcher, ask_planner],
        prompt="You are the supervisor of a travel desk. Delegate, then sum up.",
    )
    state = await supervisor.ainvoke({"messages": [("user", sys.argv[1])]})
    print(state["messages"][-1].content)


asyncio.run(main())
