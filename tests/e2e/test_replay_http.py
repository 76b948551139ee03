"""A fork started by a script over HTTP, on a real recorded run."""

from __future__ import annotations

import json
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.browser import free_port, running_app
from tracelake import Lake

pytestmark = pytest.mark.e2e

ROOT = Path(__file__).resolve().parents[2]


def call(url: str, body: dict[str, Any] | None = None) -> tuple[int, Any]:
    """Status and JSON of one request of a script."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data=data, headers={"content-type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=150) as answer:
            return answer.status, json.loads(answer.read())
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.loads(error.read())


def test_a_step_is_answered_otherwise_over_http(tmp_path: Path) -> None:
    """The fork has its own trace, changes only what follows, and is compared with its original."""
    lake = tmp_path / "lake"
    demo = [sys.executable, "-m", "tracelake.cli", "demo", "--headless", "--once", "--json"]
    ran = subprocess.run(
        [*demo, "--pace", "0", "--lake", str(lake)],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    trace_id = json.loads(ran.stdout.splitlines()[-1])["trace_id"]
    before = Lake(lake).trace(trace_id)
    coder = before.filter(kind="llm", agent_name="coder").sort("start_time")["span_id"][-1]

    port = free_port()
    options = ["--server.port", str(port), "--server.headless", "true"]
    command = [sys.executable, "-m", "streamlit", "run", "app", *options]
    with running_app(command, port=port, lake=lake, cwd=ROOT, log=tmp_path / "log") as url:
        assert call(f"{url}/api/replay/nope", {})[0] == 404
        assert call(f"{url}/api/replay/{coder}", {"colour": "red"})[0] == 400
        status, planned = call(f"{url}/api/replay/{coder}", {"dry_run": True})
        assert status == 200
        assert "fork" not in planned
        edit = {"response": "I changed nothing: the rule is as intended.", "wait_s": 120}
        status, told = call(f"{url}/api/replay/{coder}", edit)
        assert status == 200, told
        fork = told["fork"]
        assert fork["forked_from_trace_id"] == trace_id
        assert fork["counts"]["edited"] == 1
        assert fork["counts"]["live"] >= 1
        assert fork["counts"]["exact"] >= 8
        status, again = call(f"{url}/api/replay/{fork['trace_id']}")
        assert status == 200
        assert again["fork"]["status"] == fork["status"]
        assert again["comparison"]["counts"]["changed"] >= 1
    after = Lake(lake)
    assert after.trace(trace_id).equals(before)
    forked = after.traces().filter(trace_id=fork["trace_id"]).collect().row(0, named=True)
    assert forked["forked_from_trace_id"] == trace_id
    assert "as intended" in forked["final_output"]
