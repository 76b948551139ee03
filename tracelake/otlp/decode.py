"""Bodies of OTLP over HTTP: checked, unpacked within bounds, decoded. No I/O.

    decode(body, content_type, content_encoding)        spans
    decode_logs(...)                                    log records
    check_metrics(...)                                  nothing: metrics are taken and dropped
    answer(content_type, rejected=, why=, signal=)      the body that says how it went
    failure(content_type, status, why)                  the body that says why not

Whatever the bytes are, they decode or raise `OtlpRefused`, which holds the HTTP status.
"""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Final, Literal

from tracelake.otlp import jsonform, protobuf
from tracelake.otlp.spans import OtlpRefused

if TYPE_CHECKING:
    from tracelake.otlp.spans import LogRecord, SpanBatch

Signal = Literal["traces", "logs", "metrics"]

#: Largest body, as it is sent and unpacked; exporters send a few megabytes at most.
BODY_MAX: Final = 64 << 20
#: Most packed bodies that one body is joined of.
_MEMBERS_MAX: Final = 16
PROTOBUF: Final = "application/x-protobuf"
JSON: Final = "application/json"
_PROTOBUF_NAMES: Final = frozenset({PROTOBUF, "application/protobuf"})
_ITEMS: Final[dict[Signal, str]] = {
    "traces": "Spans",
    "logs": "LogRecords",
    "metrics": "DataPoints",
}
#: HTTP status to the code of `google.rpc.Status`.
_CODES: Final = {400: 3, 401: 16, 403: 7, 404: 5, 405: 12, 413: 8, 415: 3, 429: 8, 503: 14}


def decode(
    body: bytes, content_type: str, content_encoding: str = "", *, limit: int = BODY_MAX
) -> SpanBatch:
    """The spans of a request to `/v1/traces`.

    Args:
        body: As it was sent.
        content_type: Protobuf or JSON, by its header.
        content_encoding: Empty, `identity`, `gzip` or `deflate`.
        limit: Most bytes of the body once unpacked.

    Raises:
        OtlpRefused: It is not to be read (400), too large (413) or of a foreign type (415).
    """
    form = form_of(content_type)
    plain = unpack(body, content_encoding, limit=limit)
    return jsonform.read_spans(plain) if form == JSON else protobuf.read_spans(plain)


def decode_logs(
    body: bytes, content_type: str, content_encoding: str = "", *, limit: int = BODY_MAX
) -> list[LogRecord]:
    """The records of a request to `/v1/logs`; arguments and errors as of `decode`."""
    form = form_of(content_type)
    plain = unpack(body, content_encoding, limit=limit)
    return jsonform.read_logs(plain) if form == JSON else protobuf.read_logs(plain)


def check_metrics(
    body: bytes, content_type: str, content_encoding: str = "", *, limit: int = BODY_MAX
) -> None:
    """Read a request to `/v1/metrics` for its form only; arguments and errors as of `decode`."""
    form = form_of(content_type)
    plain = unpack(body, content_encoding, limit=limit)
    if form == JSON:
        jsonform.check_metrics(plain)
    else:
        protobuf.check_metrics(plain)


def form_of(content_type: str) -> str:
    """`PROTOBUF` or `JSON`, whichever a `Content-Type` names.

    Raises:
        OtlpRefused: It names neither (415).
    """
    name = content_type.partition(";")[0].strip().lower()
    if name in _PROTOBUF_NAMES:
        return PROTOBUF
    if name == JSON:
        return JSON
    raise OtlpRefused(415, f"content type {name[:100]!r}: send {PROTOBUF} or {JSON}")


def unpack(body: bytes, content_encoding: str, *, limit: int = BODY_MAX) -> bytes:
    """The body without its compression; what would grow beyond `limit` is never unpacked whole.

    Raises:
        OtlpRefused: It is damaged (400), too large (413) or compressed in another way (415).
    """
    name = content_encoding.strip().lower()
    if len(body) > limit:
        raise _too_large(limit)
    if name in {"", "identity"}:
        return body
    if name not in {"gzip", "x-gzip", "deflate"}:
        raise OtlpRefused(415, f"content encoding {name[:100]!r}: send gzip, deflate or none")
    pieces: list[bytes] = []
    size, rest = 0, body
    for _ in range(_MEMBERS_MAX):  # packed bodies may be joined
        # 32: the header tells gzip from zlib
        reader = zlib.decompressobj(32 + zlib.MAX_WBITS)
        try:
            pieces.append(reader.decompress(rest, limit + 1 - size))
        except zlib.error as error:
            raise OtlpRefused(400, f"the body is no {name}: {error}") from error
        size += len(pieces[-1])
        if size > limit:
            raise _too_large(limit)
        if not reader.eof:
            raise OtlpRefused(400, f"the {name} body is cut short")
        rest = reader.unused_data
        if not rest:
            return b"".join(pieces)
    raise OtlpRefused(400, f"the {name} body is put together of too many parts")


def answer(content_type: str, *, signal: Signal, rejected: int = 0, why: str = "") -> bytes:
    """The body of an answer with status 200, in the form of the request."""
    if form_of(content_type) == JSON:
        return jsonform.write_response(rejected, why, what=_ITEMS[signal])
    return protobuf.write_response(rejected, why)


def failure(content_type: str, status: int, why: str) -> tuple[str, bytes]:
    """Content type and body of an answer that says why not; JSON to who sent neither form."""
    code = _CODES.get(status, 13)
    if content_type.partition(";")[0].strip().lower() in _PROTOBUF_NAMES:
        return PROTOBUF, protobuf.write_status(code, why)
    return JSON, jsonform.write_status(code, why)


def _too_large(limit: int) -> OtlpRefused:
    return OtlpRefused(413, f"the body is larger than {limit >> 20} MB: send smaller batches")
