"""The script of the demo's coder: search, read, make the smallest change, report."""

from __future__ import annotations

from dataclasses import dataclass

from tracelake.demo.offline.conversation import Answer, Ask, ToolCall
from tracelake.demo.offline.style import Section
from tracelake.demo.offline.work import (
    Work,
    hits,
    is_about_free_delivery,
    search_pattern,
    shortened,
)


@dataclass(frozen=True, slots=True)
class Defect:
    """Something that is wrong in the bundled repository.

    Attributes:
        old: The line as it stands.
        new: The line as it should be.
        why: What is wrong with it, one or two sentences.
    """

    path: str
    old: str
    new: str
    why: str

    def diff(self) -> str:
        """The change as a Markdown code block."""
        return f"```diff\n--- {self.path}\n- {self.old}\n+ {self.new}\n```"


DEFECTS = (
    Defect(
        "parcels/quote.py",
        "if order.goods_cents > rates.FREE_DELIVERY_FROM_CENTS:",
        "if order.goods_cents >= rates.FREE_DELIVERY_FROM_CENTS:",
        "`delivery_cents` in `parcels/quote.py` compares with `>`, so an order that meets the "
        "limit to the cent still pays. The promise says *from* the limit on, which is `>=`.",
    ),
    Defect(
        "parcels/receipt.py",
        'FREE_DELIVERY_HINT = "Free delivery from EUR 60.00"',
        'FREE_DELIVERY_HINT = f"Free delivery from {euros(rates.FREE_DELIVERY_FROM_CENTS)}"',
        "`parcels/receipt.py` carries its own copy of the limit as text, and the copy is out of "
        "date: it tells customers EUR 60.00.",
    ),
)


def answer_as_coder(ask: Ask) -> Answer:
    """The coder's next step."""
    work = Work(ask, "coder")
    searches = work.done("grep")
    files = work.files_read()
    if ask.offers("grep") and not work.tried("grep"):
        call = ToolCall("grep", {"pattern": search_pattern(work.subject), "path": "parcels"})
        return Answer(
            f"My assignment:\n\n{work.restated()}\n\nI look for the code that decides this "
            "before I change anything.",
            (call,),
        )
    if ask.offers("read_file") and not files:
        found = hits(searches[-1][1].text) if searches else {}
        paths = [path for path in found if path.endswith(".py")][:3]
        wanted = [path for path in paths if not work.tried("read_file", path=path)]
        if wanted:
            return Answer(
                f"{_count(sum(map(len, found.values())), 'match')} in "
                f"{_count(len(found), 'file')}. I read {_listed(wanted)} to see "
                "how the parts fit together.",
                tuple(ToolCall("read_file", {"path": path}) for path in wanted),
            )
    defects = _defects_in(work, files)
    wanted = [d for d in defects if not work.tried("edit_file", path=d.path)]
    if wanted and ask.offers("edit_file") and not work.is_read_only:
        edits = tuple(
            ToolCall("edit_file", {"path": d.path, "old": d.old, "new": d.new}) for d in wanted
        )
        reasons = "\n".join(f"{number}. {d.why}" for number, d in enumerate(wanted, 1))
        moral = "Both should follow the one number in `parcels/rates.py`."
        text = f"I see what happens:\n\n{reasons}\n\n{moral if len(wanted) > 1 else ''}"
        return Answer(text.strip(), edits)
    return Answer(_report(work, files))


def _defects_in(work: Work, files: dict[str, str]) -> list[Defect]:
    """Known defects that the agent has seen with its own eyes."""
    if not is_about_free_delivery(work.assignment):
        return []
    return [defect for defect in DEFECTS if defect.old in files.get(defect.path, "")]


def _report(work: Work, files: dict[str, str]) -> str:
    edited = {str(call.arguments.get("path")) for call, _ in work.done("edit_file")}
    defects = _defects_in(work, files)
    fixed = [defect for defect in defects if defect.path in edited]
    left = [defect for defect in defects if defect.path not in edited]
    cause = "\n".join(f"- {defect.why}" for defect in defects) or _findings(work, files)
    if fixed:
        change = "\n\n".join(
            [f"{_count(len(fixed), 'line')}, nothing else:"] + [d.diff() for d in fixed]
        )
    elif left:
        change = "\n\n".join(
            ["I changed nothing, as the assignment asks. I would change:"]
            + [d.diff() for d in left]
        )
    else:
        change = "None. I change code only where I have seen that it is wrong."
    failures = [f"- {result.text}" for _, result in work.failed("edit_file", "write_file")]
    if fixed and left:
        failures += [f"- Not changed: `{defect.path}`." for defect in left]
    elif left:
        failures.append("- The defect is still in the code.")
    if fixed and not failures:
        failures.append(
            "None in the source. The limit now stands in one place, `parcels/rates.py`; the tester "
            "should pin the order of exactly that value."
        )
    return work.report(
        Section("Cause", cause),
        Section("Change", change),
        Section("Open points", "\n".join(failures) or "None."),
    )


def _findings(work: Work, files: dict[str, str]) -> str:
    """What a search brought up, when no cause is known."""
    searches = work.done("grep")
    found = hits(searches[-1][1].text) if searches else {}
    if is_about_free_delivery(work.assignment) and DEFECTS[0].new in files.get(DEFECTS[0].path, ""):
        return (
            "The code already keeps the promise: `parcels/quote.py` has "
            f"`{DEFECTS[0].new}`, which includes the limit."
        )
    if not found:
        return f"Nothing in the source matches “{shortened(work.assignment, 110)}”."
    lines = "\n".join(f"- `{path}`: `{lines[0]}`" for path, lines in list(found.items())[:4])
    return (
        f"For “{shortened(work.assignment, 110)}” these places matter; none of them "
        f"contradicts it:\n\n{lines}"
    )


def _count(number: int, noun: str) -> str:
    plural = noun + ("es" if noun.endswith("ch") else "s")
    return f"{number} {noun if number == 1 else plural}"


def _listed(paths: list[str]) -> str:
    names = [f"`{path}`" for path in paths]
    return names[0] if len(names) == 1 else ", ".join(names[:-1]) + f" and {names[-1]}"
