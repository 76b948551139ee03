"""The script of the demo's orchestrator: split, hand out, test, merge.

Invariant: the merged answer quotes what the agents and the test run really said, so that a changed
report changes it.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from tracelake.demo.offline.conversation import Answer, Ask, ToolCall
from tracelake.demo.offline.style import Section
from tracelake.demo.offline.work import Work, section_of, shortened

if TYPE_CHECKING:
    from collections.abc import Sequence

#: How often the coder gets the failing tests back before the orchestrator gives up.
REPAIRS_MAX = 1


def answer_as_orchestrator(ask: Ask) -> Answer:
    """The orchestrator's next step."""
    work = Work(ask, "orchestrator")
    delegations = work.done("delegate") + work.failed("delegate")
    if ask.offers("delegate") and not work.tried("delegate"):
        return _split(work)
    runs = work.done("run_tests") + work.failed("run_tests")
    repairs = _delegated_to(delegations, "coder") - 1
    if ask.offers("run_tests") and delegations and len(runs) <= max(0, repairs):
        return Answer(
            "Both agents have reported. I run the tests on what they left."
            if not runs
            else "The coder has reported again. I run the tests once more.",
            (ToolCall("run_tests", {}),),
        )
    if runs and not _passed(runs[-1][1].text) and repairs < REPAIRS_MAX and not work.is_read_only:
        failure = runs[-1][1].text
        assignment = (
            f"The tests fail after the first round. The task was: {work.assignment}\n\n"
            f"The report of the test run:\n\n```\n{failure}\n```\n\n"
            "Find what still contradicts the tests in the source code and fix it."
        )
        if ask.offers("delegate"):
            return Answer(
                f"{_verdict(failure)} The work is not done; the failure goes back to the coder.",
                (ToolCall("delegate", {"agent": "coder", "assignment": assignment}),),
            )
    return Answer(_merge(work), thinking=_second_thoughts(work))


def _split(work: Work) -> Answer:
    """Hand out the two assignments."""
    task = work.assignment
    files = re.findall(r"^- (\S+)$", work.ask.task, re.MULTILINE)
    source = [path for path in files if path.endswith(".py") and not path.startswith("tests/")]
    prose = [path for path in files if path.endswith(".md") or path.startswith("tests/")]
    wishes = work.added_instructions()
    extra = f"\n\nAlso observe: {' '.join(wishes.split())}" if wishes else ""
    coder = (
        f"{task}\n\nYour part is the source code: find the cause and remove it. "
        f"Source files: {', '.join(source) or 'find them first'}.{extra}"
    )
    tester = (
        f"{task}\n\nYour part is what is promised and how it is tested: compare documentation and "
        "tests, add the missing regression test, repair the documentation. "
        f"Files: {', '.join(prose) or 'find them first'}.{extra}"
    )
    return Answer(
        f"The task:\n\n{work.restated()}\n\n"
        "Two parts do not depend on each other, so they can run side by side:\n\n"
        "1. The **coder** finds the cause in the source and fixes it.\n"
        "2. The **tester** checks what is promised, and pins it with a test.\n\n"
        "I run the tests when both are back.",
        (
            ToolCall("delegate", {"agent": "coder", "assignment": coder}),
            ToolCall("delegate", {"agent": "tester", "assignment": tester}),
        ),
        thinking=(
            f"The request is: {shortened(task, 150)} The symptom is in the source, the promise is "
            f"in the documentation. {len(source)} source files and {len(prose)} files of tests and "
            "prose: small enough for one agent each. If both edit different files they cannot get "
            "in each other's way, so I hand both parts out at once."
        ),
    )


def _merge(work: Work) -> str:
    """One answer from the reports and the test run."""
    reports = [
        (str(call.arguments.get("agent", "agent")), result)
        for call, result in work.ask.steps()
        if call.name == "delegate" and result is not None
    ]
    runs = work.done("run_tests") + work.failed("run_tests")
    run = runs[-1][1].text if runs else ""
    wrong: list[str] = []
    changed: list[str] = []
    checked: list[str] = []
    open_points: list[str] = []
    for agent, result in reports:
        if result.is_error:
            open_points.append(f"The {agent} failed: {result.text}")
            continue
        if agent == "tester":
            checked += _quote(agent, result.text, "Promise", "Tests", "Documentation")
        else:
            wrong += _quote(agent, result.text, "Cause")
        changed += [
            p for p in _paths(section_of(result.text, "Change", "Tests")) if p not in changed
        ]
        changed += [
            p
            for p in _paths(section_of(result.text, "Documentation"))
            if p == "README.md" and p not in changed and "now names" in result.text
        ]
        left = section_of(result.text, "Open points")
        if left and not left.startswith("None"):
            open_points.append(f"From the {agent}:\n\n{left}")
    if run and not _passed(run):
        open_points.insert(0, "The tests still fail; the change should not be merged like this.")
    rounds = _delegated_to([(c, r) for c, r in work.ask.steps() if r], "coder")
    files = f"{len(changed)} file{'' if len(changed) == 1 else 's'}"
    changes = f"the agents report changes in {files if changed else 'no file'}"
    result_text = f"{_verdict(run).removesuffix('.')}, and {changes}."
    if rounds > 1:
        result_text += f" The coder needed {rounds} rounds."
    return work.report(
        Section("Result", result_text),
        Section("What was wrong", "\n\n".join(wrong)),
        Section("What changed", "\n".join(f"- `{path}`" for path in changed)),
        Section("Documentation and tests", "\n\n".join(checked)),
        Section("Test run", f"```\n{_tail(run)}\n```" if run else ""),
        Section("Open points", "\n\n".join(open_points)),
    )


def _quote(agent: str, report: str, *headings: str) -> list[str]:
    """What a report says under some headings, as quotation; its beginning where it has none."""
    parts = [text for heading in headings if (text := section_of(report, heading))]
    text = "\n\n".join(parts) or shortened(report, 600) or "(an empty report)"
    text = re.sub(r"```.*?```\n*", "", text, flags=re.DOTALL).strip()
    lines = "\n".join(f"> {line}".rstrip() for line in text.splitlines())
    return [f"The {agent} reports:\n\n{lines}"]


def _paths(text: str) -> list[str]:
    """Files that a report says it changed: named in a diff, or new."""
    named = re.findall(r"^--- (\S+)$|New: `([\w./-]+)`", text, re.MULTILINE)
    named += [("", path) for path in re.findall(r"^`(README\.md)`", text)]
    return ["".join(pair) for pair in named if "would change" not in text]


def _passed(run: str) -> bool:
    return bool(re.search(r"^OK\b", run, re.MULTILINE))


def _verdict(run: str) -> str:
    """What a test run says, in a sentence."""
    if not run:
        return "No tests were run."
    count = re.search(r"Ran (\d+) tests?", run)
    if _passed(run):
        return f"All {count[1]} tests pass." if count else "The tests pass."
    failed = re.findall(r"^(?:FAIL|ERROR): (\w+)", run, re.MULTILINE)
    names = ", ".join(f"`{name}`" for name in failed) or "see below"
    return f"{len(failed) or 'Some'} of {count[1] if count else 'the'} tests fail: {names}."


def _tail(run: str) -> str:
    """The end of a test report, its interesting part."""
    lines = [line for line in run.splitlines() if line.strip(" -=")]
    return "\n".join(lines[-4:])


def _delegated_to(delegations: Sequence[tuple[ToolCall, object]], agent: str) -> int:
    return sum(
        1
        for call, _ in delegations
        if call.name == "delegate" and call.arguments.get("agent") == agent
    )


def _second_thoughts(work: Work) -> str:
    runs = work.done("run_tests")
    if not runs:
        return ""
    return (
        f"{_verdict(runs[-1][1].text)} I should say what was wrong in the agents' own words, name "
        "the files, and not claim more than the test run shows."
    )
