"""Pydantic AI agents that delegate inside their tools, streaming from Anthropic."""

import asyncio
import sys

from pydantic_ai import Agent, ModelRetry

meteorologist = Agent(
    "anthropic:claude-sonnet-4-6",
    instructions="You are a meteorologist. Look the figures up before you answer.",
)
editor = Agent(
    "anthropic:claude-sonnet-4-6",
    instructions="You are the editor of a weather bulletin. Get a report for every city.",
)


@meteorologist.tool_plain
async def station_data(station: str) -> str:
    """Figures of a weather station."""
    return f"station {station}: 1013 hPa, rising"


@editor.tool_plain
async def city_report(city: str) -> str:
    """Have a report written about the weather of a city."""
    result = await meteorologist.run(f"Please report on the present weather in {city}.")
    return result.output


@editor.tool_plain
async def publish(headline: str) -> str:
    """Publish the bulletin."""
    if len(headline) > 40:
        raise ModelRetry("the headline is too long")
    return "published"


async def main() -> None:
    """Write one bulletin."""
    async with editor.run_stream(sys.argv[1]) as result:
        async for text in result.stream_text(delta=True):
            print(text, end="")


asyncio.run(main())
