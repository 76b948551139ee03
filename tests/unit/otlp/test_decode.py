"""Bodies of OTLP requests: both forms, every dialect, and nothing that breaks out."""

from __future__ import annotations

import base64
import gzip
import json
import zlib

import pytest

from tests.otlp_bodies import TRACE, as_json, as_protobuf, request, span, span_id, to_protobuf
from tracelake.otlp import OtlpRefused, answer, check_metrics, decode, decode_logs, failure

PROTOBUF, JSON = "application/x-protobuf", "application/json"
ATTRIBUTES = {
    "text": "grüezi ☃",
    "count": -7,
    "ratio": 0.5,
    "flag": True,
    "list": ["a", 1],
    "object": {"inner": {"deep": 1.5}},
}
SPANS = (
    span(1, "root", attributes=ATTRIBUTES),
    span(
        2,
        "child",
        1,
        status={"code": 2, "message": "broke"},
        events=[{"name": "exception", "timeUnixNano": "5", "attributes": []}],
        links=[{"traceId": "1" * 32, "spanId": "2" * 16}],
        droppedAttributesCount=3,
    ),
)


@pytest.mark.parametrize(
    ("body", "content_type"), [(as_json(*SPANS), JSON), (as_protobuf(*SPANS), PROTOBUF)]
)
def test_both_forms_give_the_same_spans(body: bytes, content_type: str) -> None:
    """Whatever a request is written in, every field of its spans is read."""
    batch = decode(body, f"{content_type}; charset=utf-8")
    root, child = batch.spans
    assert batch.rejected == 0
    assert (root.trace_id, root.span_id, root.parent_id) == (TRACE, span_id(1), None)
    assert root.attributes == ATTRIBUTES
    assert root.end_ns - root.start_ns == 100_000_000
    assert root.scope.resource == {"service.name": "checkout"}
    assert (root.scope.name, root.scope.version) == ("tests", "1.2")
    assert child.parent_id == root.span_id
    assert (child.status, child.status_message) == (2, "broke")
    assert [event.name for event in child.events] == ["exception"]
    assert [link.trace_id for link in child.links] == ["1" * 32]
    assert child.dropped_attributes == 3


def test_other_dialects_of_json_are_read() -> None:
    """Base64 ids, names of enumerations, plain numbers and snake case are seen in the wild."""
    known = span(1)
    known |= {
        "traceId": base64.b64encode(bytes.fromhex(TRACE)).decode(),
        "spanId": base64.b64encode(bytes.fromhex(span_id(1))).decode(),
        "status": {"code": "STATUS_CODE_ERROR"},
        "attributes": [{"key": "n", "value": {"int_value": 3}}],
    }
    known["start_time_unix_nano"] = int(known.pop("startTimeUnixNano"))
    known["end_time_unix_nano"] = float(known.pop("endTimeUnixNano"))
    body = json.dumps([{"resource_spans": request(known)["resourceSpans"]}]).encode()
    (found,) = decode(body.replace(b"scopeSpans", b"scope_spans"), JSON).spans
    assert (found.trace_id, found.span_id, found.status) == (TRACE, span_id(1), 2)
    assert found.attributes == {"n": 3}


def test_packed_bodies_that_are_joined_are_read_whole() -> None:
    """A gzip file may have several members; none is lost."""
    body = as_json(span(1), span(2))
    packed = gzip.compress(body[:50]) + gzip.compress(body[50:])
    assert len(decode(packed, JSON, "gzip").spans) == 2


@pytest.mark.parametrize("name", ["gzip", "GZIP", "deflate", "identity", ""])
def test_compressed_bodies_are_unpacked(name: str) -> None:
    """Exporters compress on demand."""
    body = as_protobuf(*SPANS)
    packed = {"gzip": gzip.compress, "deflate": zlib.compress}.get(name.lower(), bytes)(body)
    assert len(decode(packed, PROTOBUF, name).spans) == 2


def test_a_bomb_is_refused_unpacked_no_further_than_the_limit() -> None:
    """A small body that unpacks to gigabytes costs no more than the limit."""
    with pytest.raises(OtlpRefused, match="larger than") as refused:
        decode(gzip.compress(bytes(10_000_000)), PROTOBUF, "gzip", limit=1 << 20)
    assert refused.value.status == 413


@pytest.mark.parametrize(
    ("body", "content_type", "encoding", "status"),
    [
        (b"{", JSON, "", 400),
        (b"[1]", JSON, "", 400),
        (b"\xff\xff", PROTOBUF, "", 400),
        (b"no gzip", PROTOBUF, "gzip", 400),
        (gzip.compress(b"cut short" * 100, mtime=0)[:-20], JSON, "gzip", 400),
        (gzip.compress(b"", mtime=0) * 100, JSON, "gzip", 400),
        (b"{}", "text/plain", "", 415),
        (b"{}", "", "", 415),
        (b"{}", JSON, "br", 415),
    ],
)
def test_what_cannot_be_read_is_refused_with_its_status(
    body: bytes, content_type: str, encoding: str, status: int
) -> None:
    """The sender learns why, by the status that the protocol has for it."""
    with pytest.raises(OtlpRefused) as refused:
        decode(body, content_type, encoding)
    assert refused.value.status == status


def test_spans_without_usable_ids_or_times_are_counted_not_kept() -> None:
    """A partial success names how many and why; the others are taken."""
    bad_times = span(3) | {"startTimeUnixNano": "0", "endTimeUnixNano": "0"}
    bad = [span(1) | {"traceId": "00" * 16}, span(2) | {"spanId": "xyz"}, bad_times]
    batch = decode(as_json(*bad, span(9)), JSON)
    assert [found.span_id for found in batch.spans] == [span_id(9)]
    assert batch.rejected == 3
    assert "trace id" in batch.why
    told = json.loads(answer(JSON, signal="traces", rejected=4, why=batch.why))
    assert told == {"partialSuccess": {"rejectedSpans": "4", "errorMessage": batch.why}}
    assert answer(PROTOBUF, signal="traces", rejected=4, why="no").startswith(b"\x0a")


def test_a_span_that_ends_before_it_begins_or_is_its_own_parent_is_mended() -> None:
    """Clocks step back; a loop in the tree would hide the span."""
    (found,) = decode(as_json(span(1, parent=1, start_ms=50, end_ms=10)), JSON).spans
    assert found.parent_id is None
    assert found.end_ns == found.start_ns


def test_answers_are_in_the_form_of_the_request() -> None:
    """Nothing to tell is an empty message in either form; a failure is a Status."""
    assert answer(JSON, signal="logs") == b"{}"
    assert answer(PROTOBUF, signal="logs") == b""
    kind, body = failure(JSON, 400, "why")
    assert (kind, json.loads(body)) == (JSON, {"code": 3, "message": "why"})
    kind, body = failure(PROTOBUF, 503, "later")
    assert (kind, b"later" in body) == (PROTOBUF, True)
    assert failure("text/plain", 415, "what")[0] == JSON


def test_logs_and_metrics_are_read_in_both_forms() -> None:
    """Log records keep their span; metrics are only checked."""
    record = {"timeUnixNano": "7", "eventName": "e", "traceId": TRACE, "spanId": span_id(1)}
    record["body"] = {"kvlistValue": {"values": [{"key": "k", "value": {"stringValue": "v"}}]}}
    document = {"resourceLogs": [{"scopeLogs": [{"logRecords": [record]}]}]}
    for body, content_type in (
        (json.dumps(document).encode(), JSON),
        (to_protobuf("LogsRequest", document), PROTOBUF),
    ):
        (found,) = decode_logs(body, content_type)
        assert (found.trace_id, found.span_id, found.name) == (TRACE, span_id(1), "e")
        assert found.body == {"k": "v"}
    check_metrics(b"{}", JSON)
    check_metrics(b"", PROTOBUF)
    with pytest.raises(OtlpRefused):
        check_metrics(b"{", JSON)
