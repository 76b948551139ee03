"""One OTLP span as one span event, by the tables of `conventions`.

    events_of(spans) -> events      kind, columns and attributes; the tree is `assembly`'s

Invariants:
- Nothing of a span is lost: what no column takes stays in `attributes`; what two attributes say is
  kept once.
- Unknown is absent, never 0.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from tracelake.otlp import conventions as names
from tracelake.otlp.agents import agent_columns, agent_name, answer_of, chain_name, runs_as
from tracelake.otlp.calls import call_columns
from tracelake.otlp.kinds import KIND_RULES, KINDS_BY_NAME
from tracelake.otlp.messages import parsed
from tracelake.otlp.spans import STATUS_ERROR
from tracelake.otlp.tools import plain, tool_columns

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tracelake.model import EventType, Kind
    from tracelake.otlp.spans import Attributes, OtlpSpan, Scope

JsonEvent = dict[str, Any]

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_TYPES: Final[dict[str, EventType]] = {"llm": "llm_call", "tool": "tool_call"}
_CALLS: Final = frozenset({"llm", "embedding"})
#: Longest stream that is believed, a day.
_LONGEST_S: Final = 86_400.0
_TOOLS: Final = frozenset({"tool", "retriever"})
#: Kinds whose columns hold all that their messages say.
_TOLD_WHOLE: Final = _CALLS | _TOOLS


def moment(time_ns: int) -> datetime:
    """Nanoseconds since 1970 as a time, UTC, to the microsecond."""
    return _EPOCH + timedelta(microseconds=time_ns // 1000)


def is_pending(span: OtlpSpan) -> bool:
    """Whether a span only announces another one, which is to come."""
    key, value = names.PENDING
    return span.attributes.get(key) == value


def kind_of(span: OtlpSpan) -> tuple[Kind, str | None]:
    """Kind of a span, and the convention by which it was told; None for a span of none."""
    attributes = span.attributes
    for rule in KIND_RULES:
        value = attributes.get(rule.key)
        if value is None or not span.scope.name.startswith(rule.scope):
            continue
        kind = rule.kinds.get(str(value).lower().strip('"')) or rule.otherwise
        if kind is not None:
            for name, other in KINDS_BY_NAME.get(span.scope.name, ()):
                kind = other if name.match(span.name) else kind
            return kind, rule.convention
    if any(key.startswith(("gen_ai.prompt.", "gen_ai.completion.")) for key in attributes):
        return "llm", "genai"
    return "other", None


class Reading:
    """The attributes of one span, sorted into what a table has a name for and the rest.

    Attributes:
        fields: Field of `conventions.FIELDS` to its value.
        numbered: What numbered attributes are pieces of, to (path, value).
        parameters: Of the request.
        rest: All other attributes.
    """

    __slots__ = ("fields", "numbered", "parameters", "rest")

    def __init__(self, attributes: Attributes, kind: Kind) -> None:
        self.fields: dict[str, Any] = {}
        self.numbered: dict[str, list[tuple[str, Any]]] = {}
        self.parameters: dict[str, Any] = {}
        self.rest: dict[str, Any] = {}
        ranks: dict[str, tuple[int, str]] = {}
        places, rest = _PLACES[kind], self.rest
        for key, value in attributes.items():
            place = places.get(key) or _place(key, kind)
            if place.piece_of:
                self.numbered.setdefault(place.piece_of, []).append((place.name, value))
            elif place.name:
                self.parameters[place.name] = value
            elif not place.roles or value is None or value == "":
                rest[key] = value
            else:
                self._take(key, place.roles, ranks, attributes)
        for name, (_, key) in ranks.items():
            if name not in {"model", "request_model"}:
                rest.pop(key, None)

    def _take(
        self,
        key: str,
        roles: tuple[tuple[str, int], ...],
        ranks: dict[str, tuple[int, str]],
        attributes: Attributes,
    ) -> None:
        """Take an attribute for the fields that none before it tells better."""
        is_read = False
        for name, rank in roles:
            held = ranks.get(name)
            if held is None or rank < held[0]:
                if held is not None:  # told better by this one
                    self.rest[held[1]] = attributes[held[1]]
                ranks[name], self.fields[name] = (rank, key), attributes[key]
                is_read = True
        if not is_read:
            self.rest[key] = attributes[key]


@dataclass(frozen=True, slots=True)
class _Place:
    """Where an attribute goes in spans of a kind; nowhere: among the rest.

    Attributes:
        roles: Fields that it may tell, each with its rank.
        piece_of: What a numbered attribute is a piece of.
        name: Which piece; without that, which parameter of the request.
    """

    roles: tuple[tuple[str, int], ...] = ()
    piece_of: str = ""
    name: str = ""


#: Kind of span to the places of the attributes seen so far; programs have few names.
_PLACES: Final[dict[Kind, dict[str, _Place]]] = {kind: {} for kind in names.FIELDS_OF}
_PLACES_MAX: Final = 16_384


def _place(key: str, kind: Kind) -> _Place:
    """Where an attribute goes, which is remembered."""
    wanted = names.FIELDS_OF[kind]
    roles = names.READ_BY.get(key)
    if roles is not None:
        place = _Place(tuple((name, rank) for name, rank in roles if name in wanted))
    elif kind not in _CALLS:
        place = _Place()
    elif key.startswith(names.REQUEST_START):
        place = _Place(name=key.removeprefix(names.REQUEST_START))
    else:
        start = next((start for start in names.NUMBERED if key.startswith(start)), None)
        place = _Place() if start is None else _Place((), names.NUMBERED[start], key[len(start) :])
    if len(_PLACES[kind]) < _PLACES_MAX:
        _PLACES[kind][key] = place
    return place


def event_of(span: OtlpSpan) -> JsonEvent:
    """The event that tells all of a span; `parent_id` and `agent_name` as the span itself says."""
    kind, convention = kind_of(span)
    run_of = runs_as(span, kind)
    kind = "agent" if run_of is not None else kind
    attributes = _unquoted(span.attributes) if convention in names.QUOTED else span.attributes
    reading = Reading(attributes, kind)
    fields, rest = reading.fields, reading.rest
    start, end = moment(span.start_ns), moment(span.end_ns)
    if kind == "llm" and attributes.get(names.STREAMED[0]) == names.STREAMED[1]:
        start, rest["retold"] = _streamed_from(end, attributes.get("duration")), True
    data: dict[str, Any] = {
        "kind": kind,
        "name": plain(fields.get("title")) or span.name,
        "start_time": start,
        "end_time": end,
        "source": "otlp",
        "evidence": "recorded",
        "session_id": plain(parsed(fields.get("session_id"))),
    }
    _tell_outcome(data, span, fields, rest)
    if kind in _CALLS:
        data.update(call_columns(span, kind, reading, start))
    elif kind in _TOOLS:
        told = tool_columns(span, fields)
        if data["status"] == "error":  # the span's own error says more
            told.pop("error", None)
        data.update(told)
        if kind == "tool" and data["tool_name"]:
            data["name"] = data["tool_name"]
    elif kind == "agent":
        data.update(agent_columns(span, fields, rest, attributes))
    else:
        data["name"] = chain_name(data["name"])
        if span.parent_id is None:
            data["response"] = answer_of(attributes)
    agent = plain(fields.get("agent_name"))
    if kind == "agent":
        agent = agent or run_of or agent_name(span, fields, rest)
        data["name"] = agent
    _tell_more(rest, span, kind, convention)
    data["attributes"] = rest
    return {
        "event_type": _TYPES.get(kind, "span"),
        "trace_id": span.trace_id,
        "span_id": span.span_id,
        "parent_id": span.parent_id,
        "timestamp": end,
        "agent_name": agent,
        "data": data,
    }


def events_of(spans: Iterable[OtlpSpan]) -> list[JsonEvent]:
    """The events of spans in order, without those that only announce another one."""
    return [event_of(span) for span in spans if not is_pending(span)]


def _tell_outcome(
    data: dict[str, Any], span: OtlpSpan, fields: dict[str, Any], rest: dict[str, Any]
) -> None:
    data["status"] = "ok"
    success = fields.get("success")
    if span.status != STATUS_ERROR and success not in (False, "false"):
        return
    raised = next((e.attributes for e in span.events if e.name == "exception"), {})
    error_type = fields.get("error_type") or raised.get("exception.type")
    error = span.status_message or raised.get("exception.message") or rest.get("error")
    told = f"{error_type} {str(error)[:200]}"
    if any(name in told for name in names.CONTROL_FLOW):
        rest["control_flow"] = error_type or error
        return
    data["status"] = "error"
    data["error_type"] = plain(error_type)
    data["error"] = plain(error) or "the span ended in an error without a message"
    if stack := raised.get("exception.stacktrace"):
        rest["stacktrace"] = stack


def _streamed_from(end: datetime, duration_s: Any) -> datetime:
    """When a stream began that is told of at its end."""
    known = isinstance(duration_s, float) and 0 <= duration_s < _LONGEST_S
    return end - timedelta(seconds=duration_s) if known else end


def _unquoted(attributes: Attributes) -> Attributes:
    """Attributes without the quotes of a convention that writes texts as JSON."""
    return {
        key: parsed(value) if isinstance(value, str) and value.startswith('"') else value
        for key, value in attributes.items()
    }


def _tell_more(rest: dict[str, Any], span: OtlpSpan, kind: Kind, convention: str | None) -> None:
    """What has no column: where a span comes from, its events and links."""
    rest["otlp_name"] = span.name
    rest.update(_about(span.scope))
    if convention is not None:
        rest["convention"] = convention
    events = [
        {"name": event.name, "time": moment(event.time_ns), **_some(event.attributes)}
        for event in span.events
        if event.name not in names.DROPPED_EVENTS
        and (kind not in _TOLD_WHOLE or event.name not in names.MESSAGE_EVENTS)
    ]
    if events:
        rest["events"] = events
    if span.links:
        rest["links"] = [
            {"trace_id": link.trace_id, "span_id": link.span_id, **_some(link.attributes)}
            for link in span.links
        ]
    if span.dropped_attributes:
        rest["dropped_attributes"] = span.dropped_attributes


def _some(attributes: Attributes) -> dict[str, Any]:
    return {"attributes": attributes} if attributes else {}


def _about(scope: Scope) -> dict[str, Any]:
    found: dict[str, Any] = {"scope": scope.name} if scope.name else {}
    if scope.version:
        found["scope_version"] = scope.version
    if scope.attributes:
        found["scope_attributes"] = scope.attributes
    if scope.resource:
        found["resource"] = scope.resource
    return found
