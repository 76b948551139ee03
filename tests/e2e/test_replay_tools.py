"""Tools of a program that must not run twice: their recorded results are given in a replay."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from tests.e2e.replay_support import TIMEOUT_S, Stage, staged, write_program
from tracelake.replay.plan import ForkRequest, plan_fork
from tracelake.replay.session import Edit

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(400)]

#: Every tool writes a line to a ledger outside its folder; receipts are new each time it runs.
CLERK = '''
"""Charges customers from threads, mails them, is refused once, and reports to a model."""
import asyncio, os, uuid
from concurrent.futures import ThreadPoolExecutor
import anthropic
from tracelake import Tracer

tracer = Tracer()


def enter(line):
    with open(os.environ["LEDGER_FILE"], "a") as ledger:
        ledger.write(line + "\\n")


class Refused(Exception):
    pass


@tracer.traced_tool(replay="recorded")
def charge(customer, cents):
    enter(f"charge {customer} {cents}")
    return {"receipt": uuid.uuid4().hex, "cents": cents}


@tracer.traced_tool(replay="recorded")
async def mail(to):
    enter(f"mail {to}")
    return f"sent {uuid.uuid4().hex}"


@tracer.traced_tool(replay="recorded")
def refund(customer):
    enter(f"refund {customer}")
    raise Refused(f"{customer} was refunded before")


@tracer.traced_tool
def add_up(receipts):
    open("sums.txt", "a").write("summed\\n")
    return sum(receipt["cents"] for receipt in receipts)


async def mails():
    return await asyncio.gather(*(mail(f"c{n}") for n in range(3)), mail("c0"))


with tracer.agent("clerk"):
    with ThreadPoolExecutor(4) as pool:
        asked = [pool.submit(tracer.bind(charge), f"c{n % 2}", 100 + n % 3) for n in range(12)]
        receipts = [one.result() for one in asked]
    sent = asyncio.run(mails())
    try:
        refund("c1")
    except Refused as error:
        refused = str(error)
    receipts.sort(key=lambda receipt: (receipt["cents"], receipt["receipt"]))
    total = add_up(receipts)
    answer = anthropic.Anthropic().messages.create(
        model="claude-sonnet-4-5", max_tokens=200,
        messages=[{"role": "user", "content": f"{total} {receipts} {sorted(sent)} {refused}"}],
    )
    said = answer.content[0].text
    last = charge("".join(filter(str.isalpha, said))[:12], 1)
    print("closed with", last["cents"])
tracer.close()
'''


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for the whole module."""
    return tmp_path_factory.mktemp("replay-tools")


@pytest.fixture(scope="module")
def stage(folder: Path) -> Iterator[Stage]:
    """One stage for the whole module."""
    with staged(folder) as ready:
        yield ready


@pytest.fixture(scope="module")
def trace_id(stage: Stage, folder: Path) -> str:
    """A recorded run of the clerk."""
    cwd = write_program(folder / "clerk", CLERK)
    return stage.record(cwd, sys.executable, "agent.py", LEDGER_FILE=str(folder / "ledger"))


def test_tools_that_must_not_run_twice_give_their_recorded_results(
    stage: Stage, trace_id: str, folder: Path
) -> None:
    """Nothing is charged or mailed again, by threads or tasks; the prompt is the same, exactly."""
    ledger = (folder / "ledger").read_text()
    assert len(ledger.splitlines()) == 18
    plan = plan_fork(stage.lake, ForkRequest(trace_id, allow_live=False))
    assert set(plan.tools_kept) == {"charge", "mail", "refund"}
    state = stage.fork(plan.request).wait(TIMEOUT_S)
    log = (stage.lake.hot.parent / "forks" / state.run_id / "output.log").read_text()
    assert (state.status, state.error) == ("ok", None), log
    assert state.counts == {"exact": 1}
    assert (folder / "ledger").read_text() == ledger
    assert state.tools_asked == {"charge recorded": 13, "mail recorded": 4, "refund recorded": 1}
    assert state.result["tools_asked"] == state.tools_asked
    assert "sums.txt" in {change["path"] for change in state.result["files"]}
    spans = stage.lake.spans().filter(run_id=state.run_id, kind="tool").collect()
    by_name = {row["tool_name"]: row for row in spans.iter_rows(named=True)}
    assert (by_name["mail"]["match"], by_name["mail"]["source"]) == ("exact", "replay")
    assert by_name["refund"]["status"] == "error"
    assert by_name["add_up"]["match"] is None


def test_after_an_edit_a_tool_that_is_asked_something_new_runs(
    stage: Stage, trace_id: str, folder: Path
) -> None:
    """What came before is given, what follows from the edit was never done, so it is done."""
    before = (folder / "ledger").read_text().splitlines()
    call = stage.spans(trace_id, kind="llm")[0]["span_id"]
    edit = Edit(response_text="Somebody else")
    state = stage.fork(ForkRequest(trace_id, call, edit)).wait(TIMEOUT_S)
    assert (state.status, state.error) == ("ok", None)
    assert (folder / "ledger").read_text().splitlines() == [*before, "charge Somebodyelse 1"]
    assert state.tools_asked["charge run"] == 1


def test_a_tool_without_its_result_stops_the_program_rather_than_run(
    stage: Stage, folder: Path
) -> None:
    """A changed program asks for a charge that was never recorded: it is refused, not charged."""
    cwd = write_program(folder / "changing", CLERK)
    ledger = folder / "changing-ledger"
    trace_id = stage.record(cwd, sys.executable, "agent.py", LEDGER_FILE=str(ledger))
    before = ledger.read_text()
    (cwd / "agent.py").write_text(CLERK.replace("100 + n % 3", "900 + n % 3"))
    state = stage.fork(ForkRequest(trace_id, copy="present")).wait(TIMEOUT_S)
    assert state.status == "error"
    assert ledger.read_text() == before
    log = (stage.lake.hot.parent / "forks" / state.run_id / "output.log").read_text()
    assert "charge: no result with other arguments is left" in log
