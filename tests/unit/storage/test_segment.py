"""Segments: one file per process, locked while it is written, cut at the last newline."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import textwrap
import threading
from typing import TYPE_CHECKING

import pytest

from tests.support import eventually
from tracelake.storage.segment import (
    SegmentWriter,
    is_locked,
    list_segments,
    read_segment,
    writer_of,
)

if TYPE_CHECKING:
    from pathlib import Path


def test_a_record_is_readable_when_append_returned(tmp_path: Path) -> None:
    """What was appended is in the file at once, without a flush or a close."""
    writer = SegmentWriter(tmp_path)
    writer.append(b"one\n")
    writer.append(b"two\n", durable=True)
    (path,) = list_segments(tmp_path).values()
    assert read_segment(path, 0) == (b"one\ntwo\n", 8)
    assert read_segment(path, 4) == (b"two\n", 8)


def test_a_torn_tail_is_cut(tmp_path: Path) -> None:
    """Bytes after the last newline are not returned until their line is complete."""
    path = tmp_path / "1-h-1-0.jsonl"
    path.write_bytes(b"one\ntw")
    assert read_segment(path, 0) == (b"one\n", 4)
    path.write_bytes(b"one\ntwo\n")
    assert read_segment(path, 4) == (b"two\n", 8)


def test_a_limit_never_splits_a_line(tmp_path: Path) -> None:
    """A bounded read returns whole lines, and at least one."""
    path = tmp_path / "1-h-1-0.jsonl"
    path.write_bytes(b"a" * 100 + b"\nb\n")
    assert read_segment(path, 0, 10) == (b"a" * 100 + b"\n", 101)
    assert read_segment(path, 101, 10) == (b"b\n", 103)


def test_a_segment_is_locked_while_it_is_written(tmp_path: Path) -> None:
    """A sealer can tell a living writer's segment from a finished one."""
    writer = SegmentWriter(tmp_path)
    writer.append(b"x\n")
    (path,) = list_segments(tmp_path).values()
    assert is_locked(path)
    writer.close()
    assert not is_locked(path)


def test_a_full_segment_is_followed_by_a_new_one(tmp_path: Path) -> None:
    """No segment grows without bound, and none is reopened."""
    writer = SegmentWriter(tmp_path, roll_bytes=10)
    for _ in range(3):
        writer.append(b"123456789\n", durable=True)
    assert len(list_segments(tmp_path)) == 3


def test_a_forked_child_writes_a_segment_of_its_own(tmp_path: Path) -> None:
    """Two processes never share a file, so that a kill of one cannot tear the other's records."""
    writer = SegmentWriter(tmp_path)
    writer.append(b"parent\n")
    child = os.fork()
    if child == 0:
        writer.append(b"child\n")
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    writer.append(b"parent\n")
    contents = sorted(path.read_bytes() for path in list_segments(tmp_path).values())
    assert contents == [b"child\n", b"parent\nparent\n"]
    assert len({writer_of(name) for name in list_segments(tmp_path)}) == 2


def test_threads_never_mix_their_records(tmp_path: Path) -> None:
    """Records of several threads, durable or not, stand whole in one segment."""
    writer = SegmentWriter(tmp_path, roll_bytes=50_000)

    def write(mark: bytes) -> None:
        for number in range(200):
            writer.append(mark * 500 + b"\n", durable=number % 50 == 0)

    threads = [threading.Thread(target=write, args=(mark,)) for mark in (b"a", b"b", b"c")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    lines = b"".join(p.read_bytes() for p in list_segments(tmp_path).values()).splitlines()
    assert len(lines) == 600
    assert all(len(set(line)) == 1 and len(line) == 500 for line in lines)


def test_a_failed_write_ends_the_segment(tmp_path: Path) -> None:
    """After a write that failed half way nothing follows the torn record: a new segment starts."""
    resource = pytest.importorskip("resource")
    child = os.fork()
    if child == 0:  # in a child, because a limit on the size of files is hard to take back
        import signal

        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        writer = SegmentWriter(tmp_path)
        writer.append(b"a" * 99 + b"\n")
        resource.setrlimit(resource.RLIMIT_FSIZE, (150, resource.RLIM_INFINITY))
        try:
            writer.append(b"b" * 99 + b"\n")
        except OSError:
            writer.append(b"c" * 99 + b"\n")
            os._exit(0)
        os._exit(1)
    assert os.waitpid(child, 0)[1] == 0
    lines = [read_segment(path, 0)[0] for path in list_segments(tmp_path).values()]
    assert lines == [b"a" * 99 + b"\n", b"c" * 99 + b"\n"]


def test_a_segment_that_was_deleted_is_followed_by_a_new_one(tmp_path: Path) -> None:
    """Who deletes a lake to begin anew finds in it what running programs go on to write."""
    hot = tmp_path / "hot"
    writer = SegmentWriter(hot)
    writer.append(b"before\n")
    shutil.rmtree(hot)

    def is_there() -> bool:
        writer.append(b"after\n")
        return bool(list_segments(hot))

    eventually(is_there, timeout_s=10.0)
    (path,) = list_segments(hot).values()
    assert read_segment(path, 0)[0] == b"after\n"
    writer.append(b"durable\n", durable=True)
    assert read_segment(path, 0)[0] == b"after\ndurable\n"


def test_a_signal_handler_may_append_during_an_append(tmp_path: Path) -> None:
    """Whatever a signal or a finalizer interrupts, nobody waits for ever, and no record is torn."""
    program = textwrap.dedent(
        """
        import faulthandler, signal, sys, time
        from pathlib import Path
        from tracelake.storage.segment import SegmentWriter

        faulthandler.dump_traceback_later(30, exit=True)  # it hangs: end, in error
        writer = SegmentWriter(Path(sys.argv[1]), roll_bytes=4096)
        told = 0

        def interrupt(*_):
            global told
            told += 1
            writer.append(b"interrupting\\n", durable=told % 2 == 0)

        signal.signal(signal.SIGALRM, interrupt)
        signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)
        count = 0
        deadline = time.monotonic() + 2
        while time.monotonic() < deadline:
            writer.append(b"interrupted\\n", durable=count % 8 == 0)
            count += 1
        signal.setitimer(signal.ITIMER_REAL, 0)
        writer.close()
        print(count, told)
        """
    )
    ran = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stderr[-2000:]
    count, told = map(int, ran.stdout.split())
    assert told > 0
    lines = [
        line
        for path in list_segments(tmp_path).values()
        for line in path.read_bytes().splitlines(keepends=True)
    ]
    assert lines.count(b"interrupted\n") == count
    assert lines.count(b"interrupting\n") == told
    assert len(lines) == count + told
    assert not any(is_locked(path) for path in list_segments(tmp_path).values())
