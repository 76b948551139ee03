"""Which recorded call a new call repeats: four levels, each recording used once.

Levels, first hit wins:

- exact: the same JSON body;
- semantic: the same said; session metadata, cache marks and thinking left out;
- volatile: the same once ids, times, durations and temporary folders are masked, or once this
  run's ids and folders are put back to the recorded ones;
- fuzzy: the same agent, nearly as many messages, most lines the same.

Invariants:
- Pure: no I/O, no clock. The same calls in the same order give the same answers.
- A recording is used once. A call with an exact twin in the recording never gets another's answer
  on the exact level, whatever the order of arrival.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from tracelake.replay.canonical import Canonical, similarity
from tracelake.replay.difference import differing_lines
from tracelake.replay.recording import ThreadEnds, answer_atoms, is_model_call

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from tracelake.model import Exchange
    from tracelake.replay.recording import Recorded, Recording
    from tracelake.wire import Atom

Level = Literal["exact", "semantic", "volatile", "fuzzy", "probe"]

#: Least Jaccard index of lines with as many messages as recorded, and with up to two more or less.
FUZZY_SAME_COUNT = 0.8
FUZZY_NEAR_COUNT = 0.75
#: Forms that are compared as they stand, in this order.
_KEYED: tuple[tuple[Level, str], ...] = (("exact", "exact"), ("semantic", "semantic"))
_NEAR = 2
#: A message holds one or several of the things that `_NEAR` counts, and some hold none.
_NEAR_MESSAGES = 8
_PENALTY = 0.05
_SAME_THREAD = 0.02
_NEAREST = 3
_NEAREST_READ = 20


@dataclass(frozen=True, slots=True)
class Match:
    """The recorded call that a new call repeats."""

    level: Level
    recorded: Recorded
    similarity: float = 1.0


@dataclass(frozen=True, slots=True)
class Near:
    """A recorded call that a new call resembles, and lines that differ (`-` recorded, `+` new)."""

    recorded: Recorded
    similarity: float
    is_used: bool
    difference: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Miss:
    """No recorded call fits; the nearest ones, best first."""

    nearest: tuple[Near, ...] = ()


class Matcher:
    """Matches the calls of one run against a recording, and remembers what is used.

    Args:
        recording: What to match against.
    """

    def __init__(self, recording: Recording) -> None:
        self.recording = recording
        self.used: set[int] = set()
        self._ends = ThreadEnds()
        self._indexes: dict[str, dict[object, list[int]]] = {}

    def match(
        self,
        exchange: Exchange,
        *,
        fuzzy: bool = True,
        put_back: Callable[[bytes], bytes] | None = None,
        explain: bool = True,
    ) -> Match | Miss:
        """The recorded call that this one repeats; it is used from now on.

        Args:
            exchange: Request side of the new call.
            fuzzy: Whether the last level is allowed.
            put_back: Replaces this run's ids and folders in a body by the recorded ones.
            explain: Whether a miss is to name the nearest recordings.
        """
        call = Canonical(exchange, self.recording.forms)
        if not is_model_call(exchange):
            return self._probe(call)
        found = self._by_key(call) or self._by_key_put_back(call, put_back)
        if found is None:
            found = self._by_mask(call)
        if found is None and fuzzy:
            found = self._fuzzy(self._put_back(call, put_back) or call)
        if found is None:
            return Miss(self._nearest(call) if explain else ())
        self.used.add(found.recorded.position)
        return found

    def served(
        self, exchange: Exchange, match: Match, answer: Iterable[Atom] | None = None
    ) -> None:
        """Remember the answer that a matched call got, so that its continuation is recognised.

        Args:
            exchange: Request side of the call.
            match: What `match` returned for it.
            answer: What the answer said; None for the recorded one.
        """
        if match.recorded.is_call:
            call = Canonical(exchange, self.recording.forms)
            said = answer_atoms(match.recorded) if answer is None else answer
            self._ends.served(call, said, self.recording.threads[match.recorded.position])

    @property
    def unused(self) -> list[Recorded]:
        """The recorded model calls that no call has repeated, in order."""
        return [
            one for one in self.recording.calls if one.is_call and one.position not in self.used
        ]

    def _probe(self, call: Canonical) -> Match | Miss:
        """A probe gets the answer of its path: each recorded one in turn, then the last again."""
        same = self._index("path", lambda one: one.call.endpoint).get(call.endpoint, [])
        free = [position for position in same if position not in self.used]
        if call.exchange.method == "POST":
            exact = [at for at in free if self.recording.calls[at].call.exact == call.exact]
            free = exact or free
        position = next(iter(free or same[-1:]), None)
        if position is None:
            return Miss()
        self.used.add(position)
        return Match("probe", self.recording.calls[position])

    def _by_key(self, call: Canonical) -> Match | None:
        same_bytes = self._calls_by("raw", lambda one: one.raw).get(call.raw, [])
        position = self._choose(same_bytes, call)
        if position is not None:
            return Match("exact", self.recording.calls[position])
        for level, name in _KEYED:
            position = self._choose(self._equal(call, name), call)
            if position is not None:
                return Match(level, self.recording.calls[position])
        return None

    def _equal(self, call: Canonical, form: str) -> list[int]:
        """Unused recordings whose form equals the call's; only those that look alike are read."""
        alike = self._calls_by("ends", lambda one: one.glance.ends).get(call.glance.ends, [])
        wanted = getattr(call, form) if alike else None
        return [
            at
            for at in alike
            if at not in self.used and getattr(self.recording.calls[at].call, form) == wanted
        ]

    def _by_key_put_back(
        self, call: Canonical, put_back: Callable[[bytes], bytes] | None
    ) -> Match | None:
        restored = self._put_back(call, put_back)
        if restored is None:
            return None
        found = self._by_key(restored) or self._by_mask(restored)
        return None if found is None else replace(found, level="volatile")

    def _by_mask(self, call: Canonical) -> Match | None:
        position = self._choose(self._equal(call, "volatile"), call)
        return None if position is None else Match("volatile", self.recording.calls[position])

    def _put_back(
        self, call: Canonical, put_back: Callable[[bytes], bytes] | None
    ) -> Canonical | None:
        """The call with the recorded ids; None where that changes nothing."""
        body = call.body if put_back is None else put_back(call.body)
        if body == call.body:
            return None
        return call.with_body(body)

    def _fuzzy(self, call: Canonical) -> Match | None:
        agents = self._calls_by("identity", lambda one: one.glance.identity)
        thread = self._ends.thread_of(call)
        best: tuple[float, int, float] | None = None
        for position in agents.get(call.glance.identity, []):
            recorded = self.recording.calls[position].call
            more = recorded.glance.messages - call.glance.messages
            if position in self.used or abs(more) > _NEAR_MESSAGES:
                continue
            apart = abs(len(recorded.core) - len(call.core))
            if apart > _NEAR:
                continue
            alike = similarity(recorded.lines, call.lines, at_least=FUZZY_NEAR_COUNT)
            score = alike - _PENALTY * apart
            if alike < (FUZZY_NEAR_COUNT if apart else FUZZY_SAME_COUNT) or score < (
                FUZZY_NEAR_COUNT - _PENALTY
            ):
                continue
            if thread is not None and self.recording.threads[position] == thread:
                score += _SAME_THREAD
            if best is None or (score, -position) > best[:2]:
                best = (score, -position, alike)
        if best is None:
            return None
        return Match("fuzzy", self.recording.calls[-best[1]], best[2])

    def _choose(self, positions: list[int], call: Canonical) -> int | None:
        """Of equal recordings: one of the same conversation, else the next in recorded order."""
        free = [position for position in positions if position not in self.used]
        if len(free) < 2:
            return free[0] if free else None
        thread = self._ends.thread_of(call)
        if thread is not None:
            threads = self.recording.threads
            same = next((position for position in free if threads[position] == thread), None)
            if same is not None:
                return same
        return free[0]

    def _nearest(self, call: Canonical) -> tuple[Near, ...]:
        calls = self.recording.calls
        same = self._calls_by("endpoint", lambda one: one.endpoint).get(call.endpoint, [])

        def distance(at: int) -> tuple[bool, bool, int, int]:
            seen = calls[at].call.glance
            apart = abs(seen.messages - call.glance.messages)
            return at in self.used, seen.identity != call.glance.identity, apart, at

        scored = sorted(
            (
                (similarity(calls[at].call.lines, call.lines), at)
                for at in sorted(same, key=distance)[:_NEAREST_READ]
            ),
            key=lambda pair: (pair[1] in self.used, -pair[0], pair[1]),
        )
        return tuple(
            Near(
                calls[at],
                round(alike, 3),
                at in self.used,
                tuple(differing_lines(calls[at].call.request, call.request)),
            )
            for alike, at in scored[:_NEAREST]
        )

    def _calls_by(self, name: str, form: Callable[[Canonical], object]) -> dict[object, list[int]]:
        """Positions of model calls by a form, in order."""
        return self._index(name, lambda one: form(one.call) if one.is_call else None)

    def _index(self, name: str, key: Callable[[Recorded], object]) -> dict[object, list[int]]:
        """Positions by key, in order; made when first needed."""
        found = self._indexes.get(name)
        if found is None:
            found = defaultdict(list)
            for one in self.recording.calls:
                found[key(one)].append(one.position)
            self._indexes[name] = found
        return found
