"""An openai-agents team: agents as tools, then a hand-off.

Usage: agents_team.py API stream|whole TASK
"""

import asyncio
import sys

from agents import Agent, Runner, function_tool, set_default_openai_api

API, STREAM, TASK = sys.argv[1], sys.argv[2] == "stream", sys.argv[3]


@function_tool
def get_weather(city: str) -> str:
    """The weather of a city."""
    return f"{city}: 21 degrees, light wind"


@function_tool
def book_flight(city: str) -> str:
    """Book a flight."""
    raise RuntimeError(f"no seat to {city} is left")


researcher = Agent(
    name="Researcher",
    model="gpt-4.1-mini",
    instructions="You find facts about places with your tools.",
    tools=[get_weather],
)
booker = Agent(
    name="Booker",
    model="gpt-4.1-mini",
    instructions="You book journeys with your tools.",
    tools=[book_flight],
)
portuguese = Agent(
    name="Portuguese agent",
    model="gpt-4.1-mini",
    instructions="You are the Portuguese speaking host. Answer in Portuguese.",
    handoff_description="Answers in Portuguese.",
)
triage = Agent(
    name="Triage",
    model="gpt-4.1-mini",
    instructions="You are the triage agent. Ask the team, then hand off.",
    tools=[
        researcher.as_tool("consult_researcher", "Ask the researcher."),
        booker.as_tool("consult_booker", "Ask the booker."),
    ],
    handoffs=[portuguese],
)


async def main() -> None:
    """Do one task."""
    set_default_openai_api(API)
    if STREAM:
        result = Runner.run_streamed(triage, TASK)
        async for _ in result.stream_events():
            pass
    else:
        result = await Runner.run(triage, TASK)
    print(result.final_output)


asyncio.run(main())
