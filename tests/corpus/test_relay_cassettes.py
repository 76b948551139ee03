"""Every recorded exchange passes through a running relay unchanged, and is recorded unchanged."""

from __future__ import annotations

import collections
import contextlib
import http.client
import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.e2e.relay_support import RelayProcess
from tests.support import eventually

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROOT = Path(__file__).resolve().parents[2]
CORPUS = Path(os.environ.get("TRACELAKE_CORPUS", ROOT.parent / "shared" / "corpus"))
#: Told by the clock of the program that serves.
_VOLATILE = frozenset({"date"})
_FORMS: dict[str, tuple[str, ...]] = {
    "whole": (),
    "split at 7": ("--split", "7"),
    "gzipped": ("--gzip",),
}


def entries() -> list[dict[str, Any]]:
    """The index of the recorded exchanges."""
    index = CORPUS / "cassettes" / "index.json"
    if not index.exists():
        pytest.skip(
            f"no recorded exchanges at {CORPUS}: set TRACELAKE_CORPUS", allow_module_level=True
        )
    return json.loads(index.read_text())


ENTRIES = entries()


@contextlib.contextmanager
def serving(*flags: str) -> Iterator[int]:
    """The program that plays the exchanges back; its port."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    command = [sys.executable, str(CORPUS / "cassettes_serve.py"), str(port), *flags]
    process = subprocess.Popen(command, cwd=ROOT)

    def is_up() -> bool:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return True
        return False

    try:
        eventually(is_up)
        yield port
    finally:
        process.kill()
        process.wait(10)


def play(port: int, entry: dict[str, Any]) -> tuple[int, list[tuple[str, str]], bytes]:
    """Send a recorded request and read its response: status, headers as sent, body as framed."""
    exchange = json.loads((CORPUS / "cassettes" / entry["file"]).read_text())
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    headers = {
        "x-cassette": entry["file"],
        "content-type": "application/json",
        "x-api-key"
        if entry["endpoint"] == "messages"
        else "authorization": "Bearer sk-of-the-test",
    }
    with contextlib.closing(connection):
        path = f"/v1/{_PATHS.get(entry['endpoint'], entry['endpoint'])}"
        connection.request("POST", path, exchange["request"]["body"].encode(), headers)
        answer = connection.getresponse()
        kept = [pair for pair in answer.getheaders() if pair[0].lower() not in _VOLATILE]
        return answer.status, kept, answer.read()


def without_clock(
    answer: tuple[int, list[tuple[str, str]], bytes],
) -> tuple[int, list[tuple[str, str]], bytes]:
    """An answer without the second in which the upstream compressed it."""
    status, headers, body = answer
    if body.startswith(b"\x1f\x8b"):
        body = body[:4] + bytes(4) + body[8:]
    return status, headers, body


_PATHS = {"chat": "chat/completions"}


@pytest.mark.parametrize("form", _FORMS)
def test_every_recorded_exchange_passes_unchanged(
    tmp_path: Path, form: str, figures: Callable[[str], None]
) -> None:
    """Status, headers and body through the relay equal those of the upstream, and the record's."""
    results: dict[tuple[str, str], list[bool]] = collections.defaultdict(list)
    wrong: list[str] = []
    with serving(*_FORMS[form]) as port:
        backend = f"http://127.0.0.1:{port}"
        with RelayProcess(tmp_path, openai=backend + "/v1", anthropic=backend) as relay:
            relayed: list[tuple[dict[str, Any], bytes]] = []
            for entry in ENTRIES:
                expected, got = play(port, entry), play(relay.port, entry)
                is_equal = without_clock(expected) == without_clock(got)
                results[entry["provider"], entry["endpoint"]].append(is_equal)
                relayed.append((entry, got[2]))
                if not is_equal:
                    wrong.append(entry["file"])
            eventually(lambda: sum(f.ended for f in relay.exchanges().values()) == len(ENTRIES))
            recorded = list(relay.exchanges().values())
    for (entry, body), folded in zip(relayed, recorded, strict=True):
        exchange = folded.exchange
        assert exchange.header("x-cassette") == entry["file"]
        assert exchange.status == entry["status"]
        assert exchange.response_body == body, entry["file"]
        assert exchange.outcome == "ok"
    figures(table(form, results))
    assert not wrong


def table(form: str, results: dict[tuple[str, str], list[bool]]) -> str:
    """How many exchanges of each provider and endpoint were equal."""
    lines = [f"through the relay, {form}:"]
    for (provider, endpoint), equal in sorted(results.items()):
        lines.append(f"  {provider:40.40} {endpoint:12} {sum(equal):4} of {len(equal):4} equal")
    total = [ok for equal in results.values() for ok in equal]
    lines.append(f"  {'all':53} {sum(total):4} of {len(total):4} equal")
    return "\n".join(lines)
