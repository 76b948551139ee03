"""Which trace a call names, and what else it says of itself outside its conversation."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from tests.unit.infer.programs import CLIENT, START
from tracelake.infer.scope import process_key, read_scope
from tracelake.model import Exchange, derived_id, is_valid_id
from tracelake.wire import Request

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT = f"00-{TRACE}-00f067aa0ba902b7-01"


def exchange(headers: dict[str, str] | None = None, **changes: Any) -> Exchange:
    """A call with these headers."""
    call = Exchange(
        "call", START, "POST", "/v1/messages", "anthropic", tuple((headers or {}).items()), b""
    )
    return replace(call, **changes)


def request(parameters: dict[str, Any]) -> Request:
    """A request with these parameters."""
    return Request("messages", "anthropic", "m", False, "", [], None, parameters, (), ())


ORDER: list[tuple[dict[str, Any], str]] = [
    ({"trace_id": "fixed"}, "recorded"),
    ({"run_id": "run-1"}, "run"),
    ({"headers": {"X-Trace-ID": "t-1"}}, "trace_header"),
    ({"headers": {"traceparent": PARENT}}, "traceparent"),
    ({"headers": {"X-Task-ID": "s-1"}}, "session"),
    ({"client": CLIENT}, "process"),
]


@pytest.mark.parametrize("place", range(len(ORDER)))
def test_the_first_known_scope_decides(place: int) -> None:
    """Trace id fixed before, run, trace header, traceparent, session, process: in this order."""
    changes: dict[str, Any] = {}
    headers: dict[str, str] = {}
    for known, _ in ORDER[place:]:
        headers |= known.get("headers", {})
        changes |= {key: value for key, value in known.items() if key != "headers"}
    assert read_scope(exchange(headers, **changes), None).source == ORDER[place][1]


def test_nothing_known_gives_no_key() -> None:
    """A call of an unknown client without headers is left to its content."""
    scope = read_scope(exchange(client={"host": "10.0.0.9", "port": 4000}), None)
    assert (scope.key, scope.trace_id, scope.host) == (None, None, "10.0.0.9")
    assert scope.connection == "10.0.0.9:4000"


@pytest.mark.parametrize(
    "name",
    ["X-Task-ID", "X-Claude-Code-Session-Id", "session-id", "session_id", "x-session-id",
     "conversation-id"],
)  # fmt: skip
def test_session_headers_are_known_by_their_last_words(name: str) -> None:
    """Whatever a client puts before `session-id`, its value is the session and the trace."""
    scope = read_scope(exchange({name: "abc-1"}), None)
    assert (scope.session_id, scope.trace_id) == ("abc-1", "abc-1")


@pytest.mark.parametrize("name", ["x-request-id", "x-client-request-id", "x-stainless-lang"])
def test_headers_that_change_with_every_call_are_no_session(name: str) -> None:
    """Ids of single requests never make a trace."""
    assert read_scope(exchange({name: "abc-1"}), None).key is None


@pytest.mark.parametrize(
    "user",
    [json.dumps({"device_id": "d", "session_id": "abcdefgh-1"}),
     "user_0f_account__session_abcdefgh-1"],
)  # fmt: skip
def test_a_session_in_the_metadata_is_read(user: str) -> None:
    """Anthropic's `metadata.user_id` may hold the session."""
    assert read_scope(exchange(), request({"metadata": {"user_id": user}})).trace_id == "abcdefgh-1"


def test_a_plain_user_id_is_no_session() -> None:
    """A user has many sessions."""
    assert read_scope(exchange(), request({"metadata": {"user_id": "user-77"}})).key is None


def test_an_id_that_no_trace_may_have_is_replaced_by_a_derived_one() -> None:
    """The header's value is kept; the trace id is made of it, always the same."""
    scope = read_scope(exchange({"X-Task-ID": "task with spaces/ä"}), None)
    assert scope.session_id == "task with spaces/ä"
    assert scope.trace_id == derived_id("trace", "task with spaces/ä")
    assert is_valid_id(scope.trace_id)


def test_the_traceparent_is_kept_as_an_alias_in_any_case() -> None:
    """So that telemetry of the same run can be joined although another id won."""
    scope = read_scope(exchange({"traceparent": PARENT}, run_id="run-1"), None)
    assert scope.trace_id == "run-1"
    assert dict(scope.aliases)["traceparent"] == TRACE


def test_agent_headers_are_read() -> None:
    """Key, parent's key and name of the agent, from headers or JSON inside one."""
    scope = read_scope(
        exchange(
            {
                "thread-id": "t-2",
                "x-my-parent-thread-id": "t-1",
                "x-turn-metadata": '{"agent_name": "/root/Ada"}',
            }
        ),
        None,
    )
    assert (scope.agent_key, scope.parent_key, scope.agent_name) == ("t-2", "t-1", "Ada")


def test_a_place_in_a_tree_is_no_name() -> None:
    """`/root` says where an agent stands, not what it is called."""
    headers = {"x-turn-metadata": '{"agent_name": "/root"}'}
    assert read_scope(exchange(headers), None).agent_name is None


def test_a_process_is_one_run_of_one_program() -> None:
    """A pid that comes round again is another process."""
    assert process_key(CLIENT) == process_key(dict(CLIENT))
    assert process_key(CLIENT) != process_key({**CLIENT, "started": 101})
    assert process_key({"host": "127.0.0.1"}) is None
