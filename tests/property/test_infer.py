"""Properties of the inference over generated multi-agent programs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.corpus.infer_support import fold
from tests.unit.infer.programs import Script, Spans, at, got, say, use
from tracelake.infer import Inference
from tracelake.model import derived_id

if TYPE_CHECKING:
    from tracelake.wire import Atom

#: An agent is its turns; a turn is the tool calls made side by side: each the milliseconds that a
#: tool takes, or the agent that it delegates to.
PROGRAMS = st.recursive(
    st.lists(st.lists(st.integers(5, 400), min_size=1, max_size=3), max_size=3),
    lambda agents: st.lists(
        st.lists(st.one_of(st.integers(5, 400), agents), min_size=1, max_size=3), max_size=3
    ),
    max_leaves=12,
)
CALL_MS = 30
PEERS_START_MS = 500.0


class Run:
    """A generated program, played, and the truth about it.

    Attributes:
        maker: Call to the number of the agent that made it.
        via: Agent to the tool span that delegated to it, None for the first.
        answered: Tool spans whose result was sent.
    """

    def __init__(self, *programs: list[Any], same_prompts: bool, apart_ms: int = 0) -> None:
        self.script = Script()
        self.maker: dict[str, int] = {}
        self.via: dict[int, str | None] = {}
        self.answered: set[str] = set()
        self._same_prompts = same_prompts
        clock = 0.0
        for program in programs:
            self._play(program, len(self.via), clock, None)
            clock = (clock or PEERS_START_MS) + apart_ms

    def _play(
        self, program: list[Any], number: int, clock: float, via: str | None
    ) -> tuple[float, str]:
        self.via[number] = via
        atoms: list[Atom] = [say("user", task(number))]
        for turn in program:
            asked: list[Atom] = []
            numbers: list[int] = []
            for place, call in enumerate(turn):
                numbers.append(len(self.via) + len(numbers))
                call_id = f"{number}-{len(atoms)}-{place}"
                asked.append(
                    use(call_id, "delegate", task=task(numbers[-1]))
                    if isinstance(call, list)
                    else use(call_id, "read_file", path=f"src/{call_id}.py")
                )
            clock, span_id = self._call(number, atoms, asked, clock)
            for n in numbers:
                self.via.setdefault(n, "a tool")
            ends: list[float] = []
            results: list[Atom] = []
            for place, (call, atom) in enumerate(zip(turn, asked, strict=True)):
                tool_id = derived_id(span_id, "tool", place)
                self.answered.add(tool_id)
                end, text = clock + 5, f"content {number} {place}"
                if isinstance(call, list):
                    end, text = self._play(call, numbers[place], clock + 1 + place, tool_id)
                else:
                    end += call
                ends.append(end)
                results.append(got(atom.id, text))
            atoms += [*asked, *results]
            clock = max(ends) + 3
        answer = f"Report {number}: all that agent {number} was asked for has been done."
        clock, _ = self._call(number, atoms, [say("assistant", answer)], clock)
        return clock, answer

    def _call(
        self, number: int, atoms: list[Atom], answer: list[Atom], clock: float
    ) -> tuple[float, str]:
        role = "worker" if self._same_prompts and number else f"specialist {chr(65 + number)}"
        span_id = self.script.call(
            clock, clock + CALL_MS, atoms, answer, system=f"You are the {role}. Work well."
        )
        self.maker[span_id] = number
        return clock + CALL_MS + 1, span_id


def task(number: int) -> str:
    """What an agent is asked for."""
    return f"Please look after matter number {number} and report what you find in it."


RUNS = st.builds(Run, PROGRAMS, same_prompts=st.booleans())


def assert_is_the_truth(run: Run, spans: Spans) -> None:
    """Every call under its agent, every agent under its tool call, every result in its place."""
    assert len(spans.traces) == 1
    agents = {span_id: spans.agent_of(span_id)["span_id"] for span_id in run.maker}
    by_number: dict[int, set[str]] = {}
    for span_id, number in run.maker.items():
        by_number.setdefault(number, set()).add(agents[span_id])
    assert all(len(ids) == 1 for ids in by_number.values())
    assert len({next(iter(ids)) for ids in by_number.values()}) == len(by_number)
    for number, ids in by_number.items():
        above = spans.above(spans[next(iter(ids))])
        if run.via[number] is None:
            assert above is None or above is spans.root
        else:
            assert above is spans[str(run.via[number])]
    assert {s["span_id"] for s in spans.of("tool") if s["result"] is not None} == run.answered
    assert all(span["status"] == "ok" for span in spans.values())


@settings(max_examples=150)
@given(RUNS)
def test_the_tree_of_any_program_is_found(run: Run) -> None:
    """Nested and parallel delegation, equal prompts or not: each agent hangs where it belongs."""
    assert_is_the_truth(run, run.script.spans())


#: The first program shows that reading a file starts no agent; the others begin together.
PEERS = st.builds(
    lambda programs, same, apart: Run([[5]], *programs, same_prompts=same, apart_ms=apart),
    st.lists(PROGRAMS, min_size=2, max_size=3),
    st.booleans(),
    st.integers(1, CALL_MS // 3),
)


@settings(max_examples=60)
@given(PEERS)
def test_programs_side_by_side_in_one_process_stay_apart(run: Run) -> None:
    """Agents that code starts at once, of one prompt or not, each with agents of its own."""
    assert_is_the_truth(run, run.script.spans())


@settings(max_examples=80)
@given(RUNS)
def test_call_by_call_equals_all_at_once(run: Run) -> None:
    """Spans folded while the program runs are those of a later reading of whole exchanges."""
    live = run.script.spans()
    inference = Inference()
    steps = {step.exchange.span_id: step for step in run.script.steps}
    events: list[dict[str, Any]] = []
    for step in sorted(steps.values(), key=lambda s: s.exchange.start_time):
        events += inference.opened(step.exchange, step.request)
        events += inference.ended(step.exchange, step.request, step.response)
    events += inference.idle(at(10 * 3600 * 1000))
    assert_is_the_truth(run, Spans(fold(events)))
    assert live.keys() == Spans(fold(events)).keys()


@settings(max_examples=80)
@given(RUNS, st.integers(0, 60))
def test_reading_exchanges_again_adds_nothing(run: Run, crash_after: int) -> None:
    """After a crash at any moment, reading everything again gives the same spans."""
    once = run.script.spans()
    inference = Inference()
    before: list[dict[str, Any]] = []
    for _, events in zip(range(crash_after), run.script.feed(inference), strict=False):
        before += events
    again = Inference()
    after = [event for events in run.script.feed(again) for event in events]
    assert not [event for events in run.script.feed(again) for event in events]
    after += again.idle(at(10 * 3600 * 1000))
    assert fold([*before, *after]) == list(once.values())


@settings(max_examples=25)
@given(RUNS)
def test_every_moment_shows_one_whole_tree(run: Run) -> None:
    """While the program runs there is one root, and no span hangs on one that is not there."""
    events: list[dict[str, Any]] = []
    for told in run.script.feed(Inference()):
        events += told
        spans = Spans(fold(events))
        assert spans.root["role"] == "orchestrator"
        assert all(s["parent_id"] in spans for s in spans.values() if s is not spans.root)
