"""Calls over a WebSocket, out of the bytes of both sides."""

from __future__ import annotations

import json
import os
import zlib
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.unit.wire.exchanges import exchange
from tracelake.model import PASSED
from tracelake.wire import Tunnel, calls_within, read_request, read_response
from tracelake.wire.frames import MessageReader
from tracelake.wire.stamps import Side, render_passed

NOW = datetime(2026, 11, 1, tzinfo=UTC)
HANDSHAKE = (("Upgrade", "websocket"), ("Sec-WebSocket-Key", "x"), ("session-id", "s-1"))


def frame(
    payload: bytes, opcode: int = 1, *, masked: bool = True, final: bool = True, rsv: int = 0
) -> bytes:
    """One frame."""
    first = bytes([(0x80 if final else 0) | (0x40 * rsv) | opcode])
    length = len(payload)
    bit = 0x80 if masked else 0
    if length < 126:
        head = first + bytes([bit | length])
    elif length < 1 << 16:
        head = first + bytes([bit | 126]) + length.to_bytes(2, "big")
    else:
        head = first + bytes([bit | 127]) + length.to_bytes(8, "big")
    if not masked:
        return head + payload
    mask = os.urandom(4)
    return head + mask + bytes(b ^ mask[i % 4] for i, b in enumerate(payload))


def sent(*messages: Any) -> bytes:
    """What a client sends."""
    return b"".join(frame(json.dumps(message).encode()) for message in messages)


def told(*messages: Any) -> bytes:
    """What a server sends."""
    return b"".join(frame(json.dumps(message).encode(), masked=False) for message in messages)


def create(text: str, **more: Any) -> dict[str, Any]:
    """A client's wish for a response."""
    item = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": text}]}
    return {"type": "response.create", "model": "gpt-5", "input": [item], **more}


def answered(number: int, text: str, **more: Any) -> list[dict[str, Any]]:
    """The events of one response."""
    part = {"type": "output_text", "text": text, "annotations": []}
    item = {"type": "message", "id": f"m{number}", "role": "assistant", "content": [part]}
    response = {"id": f"r{number}", "model": "gpt-5", "status": "in_progress", "output": []}
    usage = {"input_tokens": 10, "output_tokens": 2, "total_tokens": 12}
    whole = {**response, "status": "completed", "output": [item], "usage": usage}
    return [
        {"type": "response.created", "response": response, **more},
        {"type": "response.output_text.delta", "item_id": f"m{number}", "delta": text, **more},
        {"type": "response.output_item.done", "output_index": 0, "item": item, **more},
        {"type": "response.completed", "response": whole, **more},
    ]


def tunnel(up: bytes, down: bytes, extensions: str = "", **changes: Any) -> Any:
    """A WebSocket as the relay records it."""
    headers = (("Sec-WebSocket-Extensions", extensions),) if extensions else ()
    values: dict[str, Any] = {
        "method": "GET",
        "request_headers": HANDSHAKE,
        "request_body": up,
        "status": 101,
        "response_headers": headers,
        "response_body": down,
        "end_time": NOW + timedelta(seconds=60),
        **changes,
    }
    return replace(exchange("/v1/responses"), **values)


def read(call: Any) -> tuple[Any, Any]:
    """Request and response of a call."""
    request = read_request(call)
    assert request is not None
    return request, read_response(call, request)


def test_each_create_is_one_call() -> None:
    """Every response asked for over a WebSocket is a call with its own request and answer."""
    up = sent(create("one", stream_options={"a": 1}), create("two"))
    down = told(*answered(1, "first"), {"type": "codex.rate_limits"}, *answered(2, "second"))
    calls = calls_within(tunnel(up, down))
    assert [call.method for call in calls] == ["POST", "POST"]
    assert len({call.span_id for call in calls}) == 2
    assert all(call.header("session-id") == "s-1" for call in calls)
    assert all(call.header("sec-websocket-key") is None for call in calls)
    (first, one), (second, two) = map(read, calls)
    assert (first.api, first.model, first.stream) == ("responses", "gpt-5", True)
    assert first.atoms[0].text == "one"
    assert first.parameters == {"model": "gpt-5", "stream": True, "stream_options": {"a": 1}}
    assert second.atoms[0].text == "two"
    assert (one.text, two.text) == ("first", "second")
    assert (one.usage.input, one.usage.output) == (10, 2)
    assert one.error_type is two.error_type is None
    assert calls_within(tunnel(up, down)) == calls, "the same bytes give the same calls"


def test_a_call_that_builds_on_another_holds_the_whole_conversation() -> None:
    """What was sent and answered before stands before the new input; a warm-up is no call."""
    up = sent(
        create("context", generate=False),
        create("one", previous_response_id="r0"),
        create("two", previous_response_id="r1"),
    )
    warm = {"id": "r0", "status": "completed", "output": [], "usage": None}
    down = told(
        {"type": "response.completed", "response": warm},
        *answered(1, "first"),
        *answered(2, "second"),
    )
    requests = [read(call)[0] for call in calls_within(tunnel(up, down))]
    assert [[atom.text for atom in request.atoms] for request in requests] == [
        ["context", "one"],
        ["context", "one", "first", "two"],
    ]
    assert all("previous_response_id" not in request.parameters for request in requests)


def test_streams_side_by_side_are_told_apart() -> None:
    """Events go to the oldest open call of their stream, however they are mixed."""
    up = sent(create("a1", stream_id="a"), create("b1", stream_id="b"), create("a2", stream_id="a"))
    a = [*answered(1, "A1", stream_id="a"), *answered(3, "A2", stream_id="a")]
    b = answered(2, "B1", stream_id="b")
    down = told(a[0], b[0], a[1], b[1], b[2], a[2], b[3], *a[3:])
    found = {q.atoms[0].text: r.text for q, r in map(read, calls_within(tunnel(up, down)))}
    assert found == {"a1": "A1", "b1": "B1", "a2": "A2"}


def test_errors_and_breaks_are_errors_of_their_call() -> None:
    """A refused call tells why, one that the connection did not outlast is not complete."""
    error = {
        "type": "error",
        "status": 400,
        "error": {"type": "invalid_request_error", "code": "x", "message": "no such model"},
    }
    up = sent(create("one"), create("two"), create("three"))
    down = told(error, *answered(2, "par")[:2])
    broken = tunnel(up, down, outcome="upstream_died")
    one, two, three = (read(call)[1] for call in calls_within(broken))
    assert (one.error_type, one.error) == ("invalid_request_error", "no such model")
    assert (two.error_type, two.text) == ("upstream_died", "par")
    assert (three.error_type, three.usage.input) == ("upstream_died", None)


@pytest.mark.parametrize("afresh", [False, True])
def test_compressed_and_fragmented_messages(*, afresh: bool) -> None:
    """Compression with and without memory, fragments with a ping between them, one by one."""
    texts = [json.dumps(create("word " * 50 + str(n))).encode() for n in range(3)]
    deflater = zlib.compressobj(wbits=-15)
    up = b""
    for number, text in enumerate(texts):
        if number == 2:  # a message may also go uncompressed
            up += frame(text)
            continue
        if afresh:
            deflater = zlib.compressobj(wbits=-15)
        data = (deflater.compress(text) + deflater.flush(zlib.Z_SYNC_FLUSH))[:-4]
        third = len(data) // 3
        up += frame(data[:third], rsv=1, final=False) + frame(b"ping", 9)
        up += frame(data[third:-1], 0, final=False) + frame(data[-1:], 0)
    name = "permessage-deflate" + ("; client_no_context_takeover" if afresh else "")
    calls = calls_within(tunnel(up, b"", name))
    assert [read(call)[0].atoms[0].text[-1] for call in calls] == ["0", "1", "2"]
    for end in range(0, len(up), 7):
        calls_within(tunnel(up[:end], b"", name))  # cut off anywhere, it is read


def test_junk_ends_the_messages() -> None:
    """Bytes that are no frames, or no compressed ones, give what stands before them."""
    good = frame(b"hello")

    def text_messages(data: bytes, *, deflated: bool) -> list[str]:
        return MessageReader(deflated=deflated).feed(data)

    assert text_messages(good + b"\x81\xff" + b"\xff" * 30, deflated=False) == ["hello"]
    assert text_messages(good + frame(b"\xff\xff", rsv=1), deflated=True) == ["hello"]
    assert text_messages(good + frame(b"x", rsv=1), deflated=False) == ["hello"]
    for seed in range(200):
        junk = bytes((seed * 31 + i * i * 7) % 256 for i in range(300))
        assert calls_within(tunnel(junk, junk, "permessage-deflate")) == []


def test_times_are_the_servers_within_the_connection() -> None:
    """A call starts and ends when the server says, never outside its WebSocket."""
    second = int(NOW.timestamp())
    events = answered(1, "x")
    times = {"created_at": second + 5, "completed_at": second + 9}
    events[-1]["response"] |= times
    late = answered(2, "y")
    late[-1]["response"] |= {"created_at": second + 7, "completed_at": second + 900}
    first, other = calls_within(tunnel(sent(create("a"), create("b")), told(*events, *late)))
    assert first.start_time == datetime.fromtimestamp(second + 5, UTC)
    assert first.end_time == datetime.fromtimestamp(second + 9, UTC)
    assert other.start_time == first.end_time, "a stream answers one call after the other"
    assert other.end_time == NOW + timedelta(seconds=60)


def test_other_websockets_are_no_calls() -> None:
    """Only the Responses format is read; a declined switch is not one."""
    up = sent(create("one"))
    assert calls_within(replace(tunnel(up, b""), path="/v1/realtime")) == []
    assert calls_within(replace(tunnel(up, b""), status=426)) == []


def test_calls_are_told_as_they_come_byte_by_byte() -> None:
    """A call is told when it is asked and when its answer ends, with the times of both."""
    up, down = sent(create("one")), told(*answered(1, "first"))
    switched = tunnel(b"", b"", outcome="running", end_time=None)
    live = Tunnel(switched, is_live=True)
    steps = []
    both: tuple[tuple[Side, bytes], ...] = (("request", up), ("response", down))
    number = -1
    for side, data in both:
        for number, byte in enumerate(data, number + 1):  # noqa: B020 - counts on
            at = NOW + timedelta(milliseconds=number)
            steps += [(number, *step) for step in live.feed(side, bytes([byte]), at)]
    (began, opening, opens), (ended, end, opens_again) = steps
    assert (began, opens) == (len(up) - 1, True)
    assert (ended, opens_again) == (len(up) + len(down) - 1, False)
    assert read(opening)[0].atoms[0].text == "one"
    assert read(end)[1].text == "first"
    assert (opening.span_id, opening.start_time) == (end.span_id, end.start_time)
    assert end.end_time == NOW + timedelta(milliseconds=ended)
    assert end.start_time < end.first_byte_time < end.end_time
    assert (live.taken("request"), live.taken("response")) == (len(up), len(down))


def test_recorded_times_give_what_was_told_live() -> None:
    """The record of a closed WebSocket gives the same calls, times included."""
    ups = [sent(create("one")), sent(create("two", previous_response_id="r1"))]
    downs = [told(*answered(1, "first")[:2]), told(*answered(1, "first")[2:], *answered(2, "b"))]
    order: tuple[tuple[Side, bytes, int], ...] = (
        ("request", ups[0], 5),
        ("response", downs[0], 1_000_007),
        ("request", ups[1], 1_000_900),
        ("response", downs[1], 2_000_000),
    )
    switched = tunnel(b"", b"", outcome="running", end_time=None)
    live = Tunnel(switched, is_live=True)
    ends = []
    stamps: dict[Any, list[tuple[int, int]]] = {"request": [], "response": []}
    for side, data, micros in order:
        at = switched.start_time + timedelta(microseconds=micros)
        ends += [call for call, opens in live.feed(side, data, at) if not opens]
        stamps[side].append((live.taken(side), micros))
    header = (PASSED, render_passed(stamps))
    closed = tunnel(b"".join(ups), b"".join(downs), response_headers=(header,))
    assert calls_within(closed) == [replace(call, outcome="ok") for call in ends]
    assert [call.end_time for call in ends] == [switched.start_time + timedelta(seconds=2)] * 2
    assert ends[0].first_byte_time == switched.start_time + timedelta(microseconds=1_000_007)
