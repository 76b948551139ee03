"""Which trace a call belongs to, as far as its address, headers and client program say so.

In order: the trace id already fixed, `/r/<run-id>`, `X-Trace-ID`, `traceparent`, session headers,
the session of Anthropic's `metadata.user_id`, the client process. What none of these decides is
left to content and time (`inference`). Header names are matched by their last words, because each
client puts its own prefix before them.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tracelake.infer.names import command_words
from tracelake.model import derived_id, is_valid_id

if TYPE_CHECKING:
    from tracelake.model import Exchange
    from tracelake.wire.call import Request

_SESSION = re.compile(r"(?:^|[-_])(?:session|task|conversation|chat|workflow)[-_]?id$")
_AGENT_KEY = re.compile(r"(?:^|[-_])(?:agent|thread|subagent)[-_]?id$")
_AGENT_NAME = re.compile(r"(?:^|[-_])agent[-_]?name$")
_PARENT_KEY = re.compile(r"(?:^|[-_])parent[-_]?(?:thread|agent|session)?[-_]?id$")
_TRACEPARENT = re.compile(r"^[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}")
_USER_SESSION = re.compile(r"session[_-]([0-9A-Za-z-]{8,})")
_NAME_KEYS = ("agent_name", "agent_nickname", "nickname")


@dataclass(frozen=True, slots=True)
class Scope:
    """What a call says of itself outside its conversation.

    Attributes:
        key: Calls with the same key are one trace; None when nothing explicit is known.
        trace_id: Trace id that follows from the key.
        source: What the key rests on: recorded, run, trace_header, traceparent, session, process.
        aliases: Further ids of the same run, kept for joining with other telemetry.
        process: Key of the client process, None where unknown.
        pid: Its number, None where unknown.
        ancestors: Numbers of the process that started it, of that one's parent and so on.
        command: Words that started the process, its program first; empty where unknown.
        connection: Key of the client connection, None where unknown.
        host: Address of the client.
        agent_key: Id of the agent or thread, from a header.
        parent_key: Id of the parent agent or thread, from a header.
        agent_name: Name of the agent, from a header.
    """

    key: str | None
    trace_id: str | None
    source: str | None
    session_id: str | None = None
    run_id: str | None = None
    aliases: tuple[tuple[str, str], ...] = ()
    process: str | None = None
    pid: int | None = None
    ancestors: tuple[int, ...] = ()
    command: tuple[str, ...] = ()
    connection: str | None = None
    host: str | None = None
    agent_key: str | None = None
    parent_key: str | None = None
    agent_name: str | None = None


def read_scope(exchange: Exchange, request: Request | None) -> Scope:
    """Read the scope off an exchange. Pure: the same exchange gives the same scope."""
    headers = _headers(exchange)
    session_id = _session(headers, request)
    aliases: list[tuple[str, str]] = []
    parent = trace_parent(exchange)
    if parent:
        aliases += [("traceparent", parent[0]), ("remote_parent_id", parent[1])]
    trace_header = headers.get("x-trace-id")
    if trace_header:
        aliases.append(("x_trace_id", trace_header))
    process = process_key(exchange.client)
    ranked = (
        ("recorded", exchange.trace_id),
        ("run", exchange.run_id),
        ("trace_header", trace_header),
        ("traceparent", parent[0] if parent else None),
        ("session", session_id),
    )
    source, value = next(((s, v) for s, v in ranked if v), (None, None))
    if value is not None and source is not None:
        trace_id = value if is_valid_id(value) else derived_id("trace", value)
        key = trace_id
    elif process is not None:
        source, key = "process", f"process:{process}"
        trace_id = derived_id("trace", process)
    else:
        key = trace_id = None
    client = exchange.client
    host, port = client.get("host"), client.get("port")
    agent_key = _named(headers, _AGENT_KEY, exclude=_PARENT_KEY)
    return Scope(
        key=key,
        trace_id=trace_id,
        source=source,
        session_id=session_id,
        run_id=exchange.run_id,
        aliases=tuple(aliases),
        process=process,
        pid=client.get("pid"),
        ancestors=_ancestors(client),
        command=command_words(client),
        connection=f"{host}:{port}" if host and port else None,
        host=str(host) if host else None,
        agent_key=agent_key,
        parent_key=_named(headers, _PARENT_KEY),
        agent_name=_agent_name(headers),
    )


def trace_parent(exchange: Exchange) -> tuple[str, str] | None:
    """Trace and span id of the `traceparent` header (W3C Trace Context), None without one."""
    matched = _TRACEPARENT.match((exchange.header("traceparent") or "").strip())
    return (matched[1], matched[2]) if matched else None


def process_key(client: dict[str, Any]) -> str | None:
    """A key of the client process, None where its pid is unknown.

    The pid alone comes round again; with the start time, and after a reboot the command and
    folder, it names one run of one program.
    """
    pid = client.get("pid")
    if pid is None:
        return None
    parts = (pid, client.get("started"), client.get("ppid"), client.get("cwd"))
    return derived_id("process", json.dumps([*parts, client.get("command")], default=str))


def _ancestors(client: dict[str, Any]) -> tuple[int, ...]:
    """Of exchanges recorded before all of them were noted only the parent is known."""
    parent = client.get("ppid")
    return tuple(client.get("ancestors") or ([] if parent is None else [parent]))


def _headers(exchange: Exchange) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, value in exchange.request_headers:
        if value.strip():
            found.setdefault(name.lower(), value.strip())
    return found


def _named(
    headers: dict[str, str], pattern: re.Pattern[str], *, exclude: re.Pattern[str] | None = None
) -> str | None:
    for name, value in headers.items():
        if pattern.search(name) and not (exclude and exclude.search(name)):
            return value
    return None


def _session(headers: dict[str, str], request: Request | None) -> str | None:
    found = _named(headers, _SESSION, exclude=_PARENT_KEY)
    if found is not None or request is None:
        return found
    metadata = request.parameters.get("metadata")
    user = metadata.get("user_id") if isinstance(metadata, dict) else None
    if not isinstance(user, str):
        return None
    fields = _json_object(user)
    if fields is not None:
        session = next((v for k, v in fields.items() if _SESSION.search(k.lower())), None)
        return session if isinstance(session, str) and session else None
    matched = _USER_SESSION.search(user)
    return matched[1] if matched else None


def _agent_name(headers: dict[str, str]) -> str | None:
    found = [_named(headers, _AGENT_NAME)]
    for value in headers.values():
        fields = _json_object(value)
        if fields is not None:
            found += (fields[key] for key in _NAME_KEYS if isinstance(fields.get(key), str))
    # `/root` is where an agent stands among others, not what it is called
    named = (name.rsplit("/", 1)[-1] if name.count("/") > 1 else name for name in found if name)
    return next((name for name in named if not name.startswith("/")), None)


def _json_object(text: str) -> dict[str, Any] | None:
    if not text.startswith("{"):
        return None
    try:
        value = json.loads(text)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None
