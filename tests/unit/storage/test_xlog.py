"""The exchange log: every record survives, torn tails are cut, damage is named."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from tracelake.model import Exchange
from tracelake.storage.xlog import (
    CorruptRecord,
    ExchangeLog,
    Record,
    encode,
    fold_records,
    read_records,
)

if TYPE_CHECKING:
    from pathlib import Path

START = datetime(2026, 11, 22, 10, 0, 0, 123456, tzinfo=UTC)


def exchange(span_id: str = "a1", **changes: object) -> Exchange:
    """An exchange that is over, with every field set."""
    fields: dict[str, object] = {
        "span_id": span_id,
        "start_time": START,
        "method": "POST",
        "path": "/v1/messages?beta=true",
        "upstream": "anthropic",
        "request_headers": (("Content-Type", "application/json"), ("X-A", "\xe9")),
        "request_body": b'{"model": "m"}',
        "run_id": "run-1",
        "first_byte_time": START + timedelta(milliseconds=12),
        "end_time": START + timedelta(seconds=2),
        "status": 200,
        "response_headers": (("Content-Encoding", "gzip"), ("Set-Cookie", "[redacted]")),
        "response_body": bytes(range(256)),
        "outcome": "ok",
        "client": {"host": "127.0.0.1", "port": 5},
    }
    return Exchange(**(fields | changes))  # type: ignore[arg-type]


def segments(hot: Path) -> list[Path]:
    """The visible segments, oldest first."""
    return sorted(hot.glob("[!.]*.xlog"))


def test_an_exchange_comes_back_as_it_was_written(tmp_path: Path) -> None:
    """Every field and byte of an exchange survives the way through the log."""
    log = ExchangeLog(tmp_path)
    log.opened(exchange())
    log.ended(exchange())
    log.done("a1", "trace-9", {"host": "127.0.0.1", "port": 5, "pid": 77})
    (path,) = segments(tmp_path)
    records, offset = read_records(path, 0)
    assert offset == path.stat().st_size
    assert [record.kind for record in records] == ["opened", "ended", "done"]
    folded = fold_records(records)["a1"]
    assert folded.ended
    assert folded.done
    assert folded.exchange == exchange(
        trace_id="trace-9", client={"host": "127.0.0.1", "port": 5, "pid": 77}
    )


def test_an_exchange_in_flight_is_running(tmp_path: Path) -> None:
    """An exchange whose end is not yet written reads as running, without a response."""
    log = ExchangeLog(tmp_path)
    log.opened(exchange())
    folded = fold_records(read_records(segments(tmp_path)[0])[0])["a1"]
    assert not folded.ended
    assert folded.exchange.outcome == "running"
    assert folded.exchange.status is None
    assert folded.exchange.request_body == exchange().request_body


def test_records_fold_in_any_order_and_twice(tmp_path: Path) -> None:
    """Records may be read repeatedly and from several segments in any order."""
    log = ExchangeLog(tmp_path)
    log.opened(exchange())
    log.ended(exchange())
    records = read_records(segments(tmp_path)[0])[0]
    assert fold_records(records) == fold_records([*reversed(records), *records])
    assert fold_records(records[1:]) == {}


def test_a_segment_cut_at_every_byte_reads_as_whole_records(tmp_path: Path) -> None:
    """Wherever a write was torn, the whole records before it are read and nothing raises."""
    records = [
        Record("opened", "a", {"n": 1}, b"x" * 5),
        Record("ended", "a", {"n": 2}, b""),
        Record("done", "a", {"n": 3}),
    ]
    frames = [encode(record) for record in records]
    whole = b"".join(frames)
    ends = [sum(map(len, frames[: n + 1])) for n in range(3)]
    path = tmp_path / "1.xlog"
    for size in range(len(whole) + 1):
        path.write_bytes(whole[:size])
        count = sum(end <= size for end in ends)
        assert read_records(path) == (records[:count], ends[count - 1] if count else 0)


def test_reading_goes_on_where_it_stopped(tmp_path: Path) -> None:
    """A reader that polls sees each record once, also when it takes them in small portions."""
    log = ExchangeLog(tmp_path)
    for n in range(10):
        log.opened(exchange(f"s{n}"))
    path = segments(tmp_path)[0]
    seen, offset = [], 0
    while True:
        records, offset = read_records(path, offset, limit_bytes=1)
        if not records:
            break
        assert len(records) == 1
        seen.append(records[0].span_id)
    assert seen == [f"s{n}" for n in range(10)]
    log.opened(exchange("late"))
    assert [r.span_id for r in read_records(path, offset)[0]] == ["late"]


@pytest.mark.parametrize("where", [0, 3, 20, 60])
def test_damage_is_named_after_the_good_records_were_read(tmp_path: Path, where: int) -> None:
    """A flipped byte never passes for data; the records before it are not lost with it."""
    frames = [encode(Record("opened", f"s{n}", {}, b"body" * 20)) for n in range(2)]
    data = bytearray(b"".join(frames) + b"\0" * 100_000)
    data[len(frames[0]) + where] ^= 0x01
    path = tmp_path / "1.xlog"
    path.write_bytes(bytes(data))
    records, offset = read_records(path)
    assert [record.span_id for record in records] == ["s0"]
    assert offset == len(frames[0])
    if where == 0:  # the length itself is damaged: it reaches beyond the file, as a torn tail does
        assert read_records(path, offset) == ([], offset)
    else:
        with pytest.raises(CorruptRecord, match="damaged at byte") as caught:
            read_records(path, offset)
        assert caught.value.offset == offset


def test_a_forked_child_writes_a_segment_of_its_own(tmp_path: Path) -> None:
    """After a fork parent and child never share a file."""
    log = ExchangeLog(tmp_path)
    log.opened(exchange("before"))
    pid = os.fork()
    if pid == 0:
        try:
            log.opened(exchange("child"))
        finally:
            os._exit(0)
    assert os.waitpid(pid, 0)[1] == 0
    log.opened(exchange("after"))
    found = {
        frozenset(record.span_id for record in read_records(path)[0]) for path in segments(tmp_path)
    }
    assert found == {frozenset({"before", "after"}), frozenset({"child"})}
