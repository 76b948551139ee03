"""The collector as a process: one a lake, adopted, restarted, and never left behind."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import urllib.request
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import psutil
import pytest

from tests.e2e.relay_support import Upstream, ask
from tests.support import eventually
from tracelake import Lake, model
from tracelake.config import locate
from tracelake.errors import LakeError
from tracelake.ingest.collector import Options, ensure_running, find_running, start
from tracelake.ingest.settings import Settings, write_settings

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.e2e


def _family(pid: int) -> list[psutil.Process]:
    parent = psutil.Process(pid)
    return [parent, *parent.children(recursive=True)]


def test_a_second_user_adopts_and_leaves_it_running(tmp_path: Path) -> None:
    """One collector a lake: others find it, use it, and do not stop it."""
    location = locate(tmp_path / "lake")
    assert find_running(location) is None
    first = start(location, Options(port=0))
    try:
        second = ensure_running(location)
        assert second.state == first.state
        assert not second.is_owned
        second.stop()
        assert first.health()["status"] == "ok"
        with pytest.raises(LakeError, match="already serves this lake"):
            start(location, Options(port=0))
    finally:
        first.stop()
    assert find_running(location) is None


def test_a_port_in_use_is_one_clear_error(tmp_path: Path) -> None:
    """The message names the address; nothing is left running."""
    with start(locate(tmp_path / "a"), Options(port=0)) as first:
        port = int(first.state.relay.rsplit(":", 1)[1])
        with pytest.raises(LakeError, match=f"127.0.0.1:{port}: is the port in use"):
            start(locate(tmp_path / "b"), Options(port=port))
        with start(locate(tmp_path / "b"), Options(port=port, any_port=True)) as other:
            assert other.state.relay != first.state.relay


def test_a_relay_that_cannot_serve_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever starts a collector hears the relay's own reason."""
    monkeypatch.delenv("TRACELAKE_TOKEN", raising=False)
    for options in (Options(host="0.0.0.0", port=0), Options(host="0.0.0.0", any_port=True)):
        with pytest.raises(LakeError, match="set TRACELAKE_TOKEN"):
            start(locate(tmp_path), options)
    with pytest.raises(LakeError, match="upstream openai: 'nonsense' must look like https://"):
        start(locate(tmp_path), Options(port=0, openai_backend="nonsense"))


def test_the_relay_comes_back_on_its_port(tmp_path: Path) -> None:
    """Agents keep their base URL when the relay is killed."""
    with start(locate(tmp_path / "lake"), Options(port=0)) as collector:
        relay = next(p for p in _family(collector.state.pid) if "tracelake.relay" in p.cmdline())
        relay.kill()
        relay.wait()

        def answers() -> bool:
            try:
                with urllib.request.urlopen(f"{collector.state.relay}/health", timeout=1) as answer:
                    return json.loads(answer.read())["status"] == "ok"
            except OSError:
                return False

        eventually(answers)


def test_no_secret_is_visible_in_arguments(tmp_path: Path) -> None:
    """Other users of the machine can list processes; they must not learn how to redirect runs."""
    with start(locate(tmp_path / "lake"), Options(port=0)) as collector:
        words = [word for p in _family(collector.state.pid) for word in p.cmdline()]
        assert collector.state.secret not in " ".join(words)
        state = tmp_path / "lake" / "hot" / "collector.json"
        assert state.stat().st_mode & 0o077 == 0


def test_a_lake_has_settings_of_its_own(tmp_path: Path) -> None:
    """Providers, patterns and retention that were set hold for whoever starts its collector."""
    location = locate(tmp_path / "lake")
    old = model.Event(
        event_type="llm_call",
        trace_id="old",
        span_id="call",
        timestamp=datetime.now(UTC) - timedelta(days=5),
        data={"response": "long ago"},
    )
    with Lake(location) as lake, Upstream() as upstream:
        lake.append(old)
        assert lake.traces().collect()["trace_id"].to_list() == ["old"]
        wanted = {"local": upstream.url}
        write_settings(location, Settings(upstreams=wanted, redact=("code-[0-9]+",), keep_days=3))
        with start(location, Options(port=0)) as collector:
            port = int(collector.state.relay.rsplit(":", 1)[1])
            body = b'{"model": "m", "messages": [{"role": "user", "content": "code-1234"}]}'
            answer = ask(port, "/u/local/chat/completions", body)
            assert hashlib.sha256(body).hexdigest().encode() in answer, "sent on as it was"

            def recorded() -> bytes:
                found = lake.exchanges().filter(upstream="local").collect()
                return found["request_body"][0] if found.height else b""

            kept = eventually(recorded)
            assert b"[redacted]" in kept
            assert b"code-1234" not in kept
            eventually(lambda: "old" not in lake.traces().collect()["trace_id"].to_list())


@pytest.mark.parametrize("victim", ["program", "supervisor"])
def test_nobody_outlives_who_started_it(tmp_path: Path, victim: str) -> None:
    """`kill -9` of the program that started it, or of the supervisor, leaves no process behind."""
    command = [sys.executable, "-m", "tracelake.cli", "collect", "--json", "--port", "0"]
    command += ["--lake", str(tmp_path / "lake")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as program:
        assert program.stdout
        supervisor = json.loads(program.stdout.readline())["pid"]
        family = _family(program.pid)
        assert len(family) >= 4
        psutil.Process(program.pid if victim == "program" else supervisor).kill()
        _, alive = psutil.wait_procs(family, timeout=60)
        assert alive == []


def test_a_run_says_when_its_providers_are_not_the_collectors(tmp_path: Path) -> None:
    """Options that an adopted collector cannot heed are not dropped in silence."""
    lake = str(tmp_path / "lake")
    run = [sys.executable, "-m", "tracelake.cli", "run", "--lake", lake, "--port", "0"]
    with start(locate(lake), Options(port=0)):
        said = [
            subprocess.run(
                [*run, *options, "--", "true"], capture_output=True, text=True, check=True
            ).stderr
            for options in ((), ("--openai-backend", "http://127.0.0.1:9/v1"))
        ]
    assert "its own providers are used" not in said[0]
    assert "its own providers are used" in said[1]
