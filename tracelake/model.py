"""The vocabulary: kinds, statuses, ids, the event envelope and the exchange.

Everything here is plain Python without third-party imports, so that `import tracelake` stays light
and the relay, which must never load a data-frame library, can use it.

Invariants:
- An id is kept verbatim: letters, digits and `._:-`, at most `ID_MAX_CHARS` characters.
- A derived id is a pure function of what it is derived from, so that deriving twice adds nothing.
- Times are UTC. On the wire between processes they are ISO 8601 with microseconds and `Z`.
"""

from __future__ import annotations

import re
import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal

EventType = Literal["agent_start", "agent_end", "llm_call", "tool_call", "span"]
Kind = Literal["agent", "llm", "tool", "chain", "retriever", "embedding", "other"]
Status = Literal["running", "ok", "error", "cancelled", "lost"]

EVENT_TYPES: frozenset[str] = frozenset(
    {"agent_start", "agent_end", "llm_call", "tool_call", "span"}
)
KINDS: frozenset[str] = frozenset(
    {"agent", "llm", "tool", "chain", "retriever", "embedding", "other"}
)
STATUSES: frozenset[str] = frozenset({"running", "ok", "error", "cancelled", "lost"})
#: Statuses that a span really ended with; `lost` is only a guess and a later real end replaces it.
ENDED: frozenset[str] = frozenset({"ok", "error", "cancelled"})
TERMINAL: frozenset[str] = ENDED | {"lost"}
#: Note of a cost that nobody was asked for: the offline provider answered.
OFFLINE_NOTE = "as if: offline provider"

ID_MAX_CHARS = 200
_ID = re.compile(r"[A-Za-z0-9._:\-]{1,200}\Z")
#: Namespace of every derived id; never change it: ids in existing lakes depend on it.
_NAMESPACE = uuid.UUID("6f1d1a52-5d0c-5e0e-9f1c-6d7261636b65")


def is_valid_id(value: object) -> bool:
    """Whether a value may be used as trace or span id (letters, digits, `._:-`, at most 200)."""
    return isinstance(value, str) and _ID.match(value) is not None


def new_id() -> str:
    """A fresh random id of 32 hexadecimal digits."""
    return uuid.uuid4().hex


def derived_id(*parts: str | int) -> str:
    """A stable id of 32 hexadecimal digits, the same for the same parts in every process."""
    return uuid.uuid5(_NAMESPACE, "\x1f".join(str(part) for part in parts)).hex


def utc_now() -> datetime:
    """The current time, aware, UTC."""
    return datetime.now(UTC)


def to_iso(moment: datetime) -> str:
    """ISO 8601 in UTC with microseconds and `Z`, for example `2026-11-22T10:00:00.000000Z`."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds")[:-6] + "Z"


def from_iso(text: str) -> datetime:
    """The aware UTC time that ISO 8601 text names; text without an offset is taken as UTC.

    Raises:
        ValueError: The text is not ISO 8601.
    """
    moment = datetime.fromisoformat(text)
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


@dataclass(frozen=True, slots=True)
class Event:
    """What a writer appends: one fact about one span.

    `data` takes any column of the table `spans` by name, `tokens` as
    `{input, output, cache_read, cache_write, reasoning}`, and any further key, which readers find
    in `attributes`.
    """

    event_type: EventType
    trace_id: str
    span_id: str
    timestamp: datetime
    parent_id: str | None = None
    agent_name: str | None = None
    data: dict[str, Any] = field(default_factory=dict[str, Any])

    def to_dict(self) -> dict[str, Any]:
        """The envelope as it stands in a segment, one JSON object."""
        return {
            "event_type": self.event_type,
            "trace_id": self.trace_id,
            "span_id": self.span_id,
            "parent_id": self.parent_id,
            "timestamp": to_iso(self.timestamp),
            "agent_name": self.agent_name,
            "data": self.data,
        }


Headers = tuple[tuple[str, str], ...]
#: Request header that the relay adds to its record of a call that goes elsewhere than to the API
#: that its upstream is named after: the base URL it goes to.
UPSTREAM_URL = "x-tracelake-upstream-url"
#: Response header that the relay adds to its record of a WebSocket: when each side sent what.
#: `request 120:5000 80:20; response 300:7000`: so many bytes more, so many microseconds later.
PASSED = "x-tracelake-passed"


@dataclass(frozen=True, slots=True)
class Exchange:
    """One HTTP exchange as the relay saw it: the source of truth of everything derived from it.

    Bodies are the bytes on the wire after removal of chunked framing (still compressed where they
    were); credentials are already redacted. While the call is in flight `end_time`, `status` and
    the response are absent and `outcome` is `running`.

    Attributes:
        span_id: Id of the exchange and of the `llm` span derived from it.
        run_id: From the `/r/<run-id>/` prefix of the path, else None.
        start_time: When the request head was read, UTC.
        first_byte_time: When the first response byte arrived, UTC.
        path: Path and query as the client sent them, run and upstream prefixes removed.
        upstream: Name of the upstream: `anthropic`, `openai` or a configured name.
        client: Peer of the connection: `host`, `port`, and where known `pid`, `ppid`,
            `ancestors` (pids, the parent first), `started` (clock ticks since boot), `command`
            (list), `cwd`.
        outcome: running, ok, client_disconnected, upstream_unreachable, upstream_died, or
            refused (answered by the relay itself).
    """

    span_id: str
    start_time: datetime
    method: str
    path: str
    upstream: str
    request_headers: Headers
    request_body: bytes
    run_id: str | None = None
    trace_id: str | None = None
    first_byte_time: datetime | None = None
    end_time: datetime | None = None
    status: int | None = None
    response_headers: Headers = ()
    response_body: bytes = b""
    outcome: str = "running"
    client: dict[str, Any] = field(default_factory=dict[str, Any])

    def header(self, name: str) -> str | None:
        """The first request header of that name, ignoring case, or None."""
        wanted = name.lower()
        return next((v for k, v in self.request_headers if k.lower() == wanted), None)

    def response_header(self, name: str) -> str | None:
        """The first response header of that name, ignoring case, or None."""
        wanted = name.lower()
        return next((v for k, v in self.response_headers if k.lower() == wanted), None)
