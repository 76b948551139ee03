"""Runs a program for as long as somebody holds the other end of a pipe.

    python guard.py DESCRIPTOR -- CMD ARGS

When the pipe closes, because whoever started the program died however suddenly, the program and
everything in its process group is ended. Imports nothing but the standard library and is run by
its path, so that it starts fast and in any environment.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading

END_TIMEOUT_S = 3.0
_NOT_STARTED = 127


def command(descriptor: int, words: list[str]) -> list[str]:
    """The command line that runs a program under a guard; pass the descriptor on."""
    return [sys.executable, "-P", __file__, str(descriptor), "--", *words]


def main(argv: list[str]) -> int:
    """Run the program; its exit code, 128 plus the signal that ended it, or 127."""
    descriptor, words = int(argv[1]), argv[3:]
    os.set_inheritable(descriptor, False)
    try:
        child = subprocess.Popen(words, start_new_session=True)
    except OSError as error:
        sys.stderr.write(f"tracelake: cannot start {words[0]!r}: {error.strerror or error}\n")
        return _NOT_STARTED

    def end(_number: int, _frame: object) -> None:
        threading.Thread(target=_end, args=(child,)).start()

    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, end)
    watcher = threading.Thread(target=_watch, args=(descriptor, child), daemon=True)
    watcher.start()
    code = child.wait()
    _signal_group(child.pid, signal.SIGKILL)  # what it left behind
    return 128 - code if code < 0 else code


def _watch(descriptor: int, child: subprocess.Popen[bytes]) -> None:
    while os.read(descriptor, 1024):
        pass
    _end(child)


def _end(child: subprocess.Popen[bytes]) -> None:
    _signal_group(child.pid, signal.SIGTERM)
    with contextlib.suppress(subprocess.TimeoutExpired):
        child.wait(END_TIMEOUT_S)
    _signal_group(child.pid, signal.SIGKILL)


def _signal_group(group: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)


if __name__ == "__main__":
    sys.exit(main(sys.argv))
