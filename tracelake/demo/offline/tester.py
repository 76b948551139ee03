"""The script of the demo's tester: read the promise, find it broken, pin it with a test."""

from __future__ import annotations

import re

from tracelake.demo.offline.conversation import Answer, Ask, ToolCall
from tracelake.demo.offline.style import Section
from tracelake.demo.offline.work import (
    Work,
    hits,
    is_about_free_delivery,
    search_pattern,
    shortened,
)

TEST_PATH = "tests/test_free_delivery.py"
_TEST = """import unittest

from parcels.quote import Order, quote
from parcels.receipt import render_receipt

LIMIT_CENTS = {cents}  # the promise in {source}


class FreeDeliveryTest(unittest.TestCase):
    def test_order_of_exactly_the_limit_is_delivered_free(self):
        self.assertEqual(quote(Order(LIMIT_CENTS, weight_grams=500)).delivery_cents, 0)

    def test_one_cent_below_the_limit_pays(self):
        self.assertEqual(quote(Order(LIMIT_CENTS - 1, weight_grams=500)).delivery_cents, 490)

    def test_receipt_names_the_promised_limit(self):
        receipt = render_receipt(quote(Order(LIMIT_CENTS - 1, weight_grams=500)))
        self.assertIn("Free delivery from EUR {euros}", receipt)


if __name__ == "__main__":
    unittest.main()
"""


def answer_as_tester(ask: Ask) -> Answer:
    """The tester's next step."""
    work = Work(ask, "tester")
    files = work.files_read()
    if ask.offers("read_file") and not work.tried("read_file"):
        paths = ("README.md", "tests/test_quote.py")
        return Answer(
            f"My assignment:\n\n{work.restated()}\n\nBefore I write a test I want to know what is "
            "promised, and what the tests already hold.",
            tuple(ToolCall("read_file", {"path": path}) for path in paths),
        )
    linked = re.findall(r"`(docs/[\w./-]+)`", files.get("README.md", ""))
    wanted = [path for path in linked if not work.tried("read_file", path=path)]
    if wanted and ask.offers("read_file"):
        return Answer(
            "The README states the promise in one line and sends the reader to "
            f"`{wanted[0]}` for the rest. No test covers the limit itself, only an order "
            "well above it.",
            tuple(ToolCall("read_file", {"path": path}) for path in wanted),
        )
    if work.failed("read_file") and not work.tried("grep") and ask.offers("grep"):
        missing = work.failed("read_file")[-1][0].arguments.get("path")
        return Answer(
            f"`{missing}` does not exist, so the README points nowhere. The rules must stand "
            "in another file; I search the documentation for them.",
            (ToolCall("grep", {"pattern": search_pattern(work.subject), "path": "docs"}),),
        )
    calls = _changes(work, files)
    if calls:
        return Answer(
            "Found it, and the promise is plain: the limit is inclusive. I pin it with "
            "a test from both sides and put the link in the README right.",
            calls,
        )
    return Answer(_report(work, files))


def _promise(work: Work) -> tuple[str, str]:
    """Where the promise stands, and its words; empty when the agent has not come across it."""
    sources = {
        path: "\n".join(lines)
        for _, result in work.done("grep")
        for path, lines in hits(result.text).items()
    }
    sources.update(work.files_read())
    for path, text in sources.items():
        match = re.search(r"[^.\n|]*EUR \d+\.\d\d(?:\.\d|[^.\n])*\.?", text)
        if match and re.search(r"free", match[0], re.IGNORECASE):
            return path, match[0].strip(" *-#")
    return "", ""


def _changes(work: Work, files: dict[str, str]) -> tuple[ToolCall, ...]:
    """The test to write and the links to repair, as far as that is not done."""
    if work.is_read_only or not is_about_free_delivery(work.assignment):
        return ()
    calls: list[ToolCall] = []
    source, words = _promise(work)
    amount = re.search(r"EUR (\d+)\.(\d\d)", words)
    if amount and work.ask.offers("write_file") and not work.tried("write_file"):
        cents = f"{int(amount[1] + amount[2]):_}"
        content = _TEST.format(cents=cents, euros=f"{amount[1]}.{amount[2]}", source=source)
        calls.append(ToolCall("write_file", {"path": TEST_PATH, "content": content}))
    missing = _broken_link(work)
    replacement = next((p for _, r in work.done("grep") for p in hits(r.text)), None)
    if missing and replacement and work.ask.offers("edit_file") and not work.tried("edit_file"):
        line = next((t for t in files["README.md"].splitlines() if missing in t), missing)
        new = line.replace(missing, replacement)
        calls.append(ToolCall("edit_file", {"path": "README.md", "old": line, "new": new}))
    return tuple(calls)


def _broken_link(work: Work) -> str | None:
    """A file that the README names and that is not there."""
    readme = work.files_read().get("README.md", "")
    missing = [str(call.arguments.get("path")) for call, _ in work.failed("read_file")]
    return next((path for path in missing if path in readme), None)


def _report(work: Work, files: dict[str, str]) -> str:
    source, words = _promise(work)
    if source:
        promise = f"`{source}`: “{words}”"
    else:
        promise = (
            f"On “{shortened(work.assignment, 110)}” the documentation I read "
            f"({', '.join(f'`{path}`' for path in files) or 'none'}) promises nothing."
        )
    if work.done("write_file"):
        tests = (
            f"New: `{TEST_PATH}`, three tests.\n\n"
            "- An order of exactly the limit is delivered free.\n"
            "- One cent below the limit pays the fee.\n"
            "- The receipt names the same limit as the documentation.\n\n"
            "The first and the third fail on the code as I found it: they need the coder's change."
        )
    else:
        tests = "No test was written."
        if work.is_read_only:
            tests += " The assignment asks for no changes."
    missing = _broken_link(work)
    if missing and work.done("edit_file"):
        documentation = (
            f"`README.md` pointed to `{missing}`, which does not exist. It now names the file that "
            "holds the rules. Apart from that, the documentation is right and the code was wrong."
        )
    elif missing:
        documentation = f"`README.md` points to `{missing}`, which does not exist. Not repaired."
    else:
        documentation = "Nothing to repair."
    failures = [r.text for _, r in work.failed("write_file", "edit_file")]
    if failures:
        documentation += "\n\nThis did not work: " + "; ".join(failures)
    return work.report(
        Section("Promise", promise),
        Section("Tests", tests),
        Section("Documentation", documentation),
    )
