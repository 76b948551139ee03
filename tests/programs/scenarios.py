"""What the programs of this folder are asked, what their models say, and the tree that follows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.programs.upstream import Part, call

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True, slots=True)
class Scenario:
    """One program with its script.

    Attributes:
        program: File in this folder.
        arguments: Its command line.
        parts: What its agents say; the first opens.
        says: What the program prints at its end.
        tree: The trace, see `trees`.
    """

    program: str
    arguments: Sequence[str]
    parts: Sequence[Part]
    says: str
    tree: str


LANGGRAPH_SUPERVISOR = Scenario(
    program="langgraph_supervisor",
    arguments=["Plan a long weekend in Porto for me, please."],
    parts=[
        Part(
            "You are the supervisor of a travel desk",
            steps=[
                [
                    call("ask_researcher", question="What is worth seeing in Porto?"),
                    call("ask_researcher", question="What is worth eating in Porto?"),
                ],
                [call("ask_planner", request="Add up 3 or 40 nights in Porto.")],
            ],
            closing="Three nights in Porto cost 285 EUR. See the bridge, eat bacalhau.",
            opens=True,
        ),
        Part(
            "You are a researcher",
            task="worth seeing",
            steps=[[call("search_notes", query="sights of Porto")]],
            closing="The Dom Luis bridge is worth seeing.",
            delay_s=0.15,
        ),
        Part(
            "You are a researcher",
            task="worth eating",
            steps=[[call("search_notes", query="food of Porto")]],
            closing="Bacalhau is worth eating.",
        ),
        Part(
            "You are a budget planner",
            steps=[
                [
                    call("hotel_price", city="Porto", nights=3),
                    call("hotel_price", city="Porto", nights=40),
                ]
            ],
            closing="Three nights cost 285 EUR, forty do not go.",
        ),
    ],
    says="Three nights in Porto cost 285 EUR",
    tree="""
supervisor
  llm
  llm
  llm
  tool ask_researcher(What is worth seeing in Porto?) ok = The Dom Luis bridge is worth seeing.
    researcher
      llm
      llm
      tool search_notes(sights of Porto) ok = Notes about sights of Porto: three entries found.
  tool ask_researcher(What is worth eating in Porto?) ok = Bacalhau is worth eating.
    researcher
      llm
      llm
      tool search_notes(food of Porto) ok = Notes about food of Porto: three entries found.
  tool ask_planner(Add up 3 or 40 nights in Porto.) ok = Three nights cost 285 EUR, forty do not go.
    planner
      llm
      llm
      tool hotel_price(Porto, 3) ok = 3 nights in Porto: 285 EUR
      tool hotel_price(Porto, 40) error = Error: ValueError('no hotel in Porto takes 40 nights
""",
)

LANGGRAPH_SWARM = Scenario(
    program="langgraph_swarm",
    arguments=["My invoice 17 is too high and my line is dead."],
    parts=[
        Part(
            "You are the help desk coordinator",
            steps=[[call("transfer_to_billing")], [call("transfer_to_network")]],
            closing="The roaming fee was explained; a technician will look at the line.",
            opens=True,
        ),
        Part(
            "You are the billing specialist",
            steps=[[call("read_invoice", number="17")]],
            closing="Invoice 17 holds 12 EUR of roaming.",
        ),
        Part(
            "You are the network specialist",
            steps=[[call("measure_line", line="home")]],
            closing="The line does not answer, send a technician.",
        ),
    ],
    says="a technician will look at the line",
    tree="""
help desk coordinator
  llm
  llm
  llm
  tool transfer_to_billing() ok = Successfully transferred to billing
    billing
      llm
      llm
      tool read_invoice(17) ok = Invoice 17: 42.00 EUR, roaming 12.00 EUR
  tool transfer_to_network() ok = Successfully transferred to network
    network
      llm
      llm
      tool measure_line(home) error = Error: ConnectionError('line home does not answer')
""",
)

_AGENTS_PARTS = [
    Part(
        "You are the triage agent",
        steps=[
            [
                call("consult_researcher", input="What is the weather in Lisbon today?"),
                call("consult_booker", input="Book me a flight to Lisbon for today."),
            ],
            [call("transfer_to_portuguese_agent")],
        ],
        opens=True,
    ),
    Part(
        "You find facts about places",
        steps=[[call("get_weather", city="Lisbon")]],
        closing="It is 21 degrees in Lisbon.",
        delay_s=0.12,
    ),
    Part(
        "You book journeys",
        steps=[[call("book_flight", city="Lisbon")]],
        closing="There is no seat to Lisbon.",
    ),
    Part("You are the Portuguese speaking host", closing="Boa viagem! Faz bom tempo em Lisboa."),
]
_AGENTS_TREE = """
triage agent
  llm
  llm
  tool consult_researcher(What is the weather in Lisbon today?) ok = It is 21 degrees in Lisbon.
    researcher
      llm
      llm
      tool get_weather(Lisbon) ok = Lisbon: 21 degrees, light wind
  tool consult_booker(Book me a flight to Lisbon for today.) ok = There is no seat to Lisbon.
    booker
      llm
      llm
      tool book_flight(Lisbon) error = An error occurred while running the tool. Please try
  tool transfer_to_portuguese_agent() ok = {"assistant": "Portuguese agent"}
    portuguese
      llm
"""

AGENTS_RESPONSES = Scenario(
    program="agents_team",
    arguments=["responses", "whole", "Is it warm in Lisbon, and can I fly there?"],
    parts=_AGENTS_PARTS,
    says="Boa viagem!",
    tree=_AGENTS_TREE,
)
AGENTS_CHAT = Scenario(
    program="agents_team",
    arguments=["chat_completions", "stream", "Is it warm in Lisbon, and can I fly there?"],
    parts=_AGENTS_PARTS,
    says="Boa viagem!",
    tree=_AGENTS_TREE,
)

PYDANTIC_DELEGATION = Scenario(
    program="pydantic_delegation",
    arguments=["Make the bulletin for Oslo and Lima."],
    parts=[
        Part(
            "You are the editor",
            steps=[
                [call("city_report", city="Oslo"), call("city_report", city="Lima")],
                [call("publish", headline="Snow in Oslo and sun in Lima, all day long")],
                [call("publish", headline="Snow in Oslo, sun in Lima")],
            ],
            closing="The bulletin is out.",
            opens=True,
        ),
        Part(
            "You are a meteorologist",
            task="in Oslo",
            steps=[[call("station_data", station="Blindern")]],
            closing="Oslo has snow.",
            delay_s=0.15,
        ),
        Part(
            "You are a meteorologist",
            task="in Lima",
            steps=[[call("station_data", station="Callao")]],
            closing="Lima has sun.",
        ),
    ],
    says="The bulletin is out.",
    tree="""
editor
  llm
  llm
  llm
  llm
  tool city_report(Oslo) ok = Oslo has snow.
    meteorologist
      llm
      llm
      tool station_data(Blindern) ok = station Blindern: 1013 hPa, rising
  tool city_report(Lima) ok = Lima has sun.
    meteorologist
      llm
      llm
      tool station_data(Callao) ok = station Callao: 1013 hPa, rising
  tool publish(Snow in Oslo and sun in Lima, all day long) error = the headline is too long
  tool publish(Snow in Oslo, sun in Lima) ok = published
""",
)

SCENARIOS = {
    "langgraph_supervisor": LANGGRAPH_SUPERVISOR,
    "langgraph_swarm": LANGGRAPH_SWARM,
    "agents_responses": AGENTS_RESPONSES,
    "agents_chat_streamed": AGENTS_CHAT,
    "pydantic_delegation": PYDANTIC_DELEGATION,
}
