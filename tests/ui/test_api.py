"""The HTTP API, and that its documentation shows what it answers."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from app.routes import api, guard
from tests.ui.conftest import ROOT, add_trace

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tracelake.lake import Lake

pytestmark = pytest.mark.filterwarnings("ignore:.*httpx.*:DeprecationWarning")
_DOC = (ROOT / "docs" / "http-api.md").read_text()
#: JSON examples by the heading above them, in order.
EXAMPLES: dict[str, list[Any]] = {
    section.split("`")[1]: [
        json.loads(block) for block in re.findall(r"```json\n(.*?)```", section, re.DOTALL)
    ]
    for section in re.split(r"^## ", _DOC, flags=re.MULTILINE)[1:]
}


@pytest.fixture
def client(lake: Lake) -> Iterator[TestClient]:
    """A script on this machine."""
    server = Starlette(routes=api.routes)
    with TestClient(server, base_url="http://localhost", client=("127.0.0.1", 5000)) as client:
        yield client


@pytest.fixture
def documented(lake: Lake) -> Lake:
    """The lake of the documentation's examples."""
    at = "2026-11-20T10:00:0"
    common: dict[str, Any] = {"trace_id": "t1", "agent_name": "coder"}
    name = {"name": "Fix the date test", "role": "orchestrator"}
    lake.append({"event_type": "agent_start", "span_id": "root", "timestamp": f"{at}0Z", **common,
                 "data": name})  # fmt: skip
    call = {
        "provider": "anthropic",
        "model": "claude-sonnet-4-5",
        "system": "Be brief.",
        "messages": [{"role": "user", "content": "Fix it."}],
        "request": {"model": "claude-sonnet-4-5", "max_tokens": 100},
        "response": "Fixed.",
        "response_blocks": [{"type": "text", "text": "Fixed."}],
        "finish_reason": "end_turn",
        "tokens": {"input": 100, "output": 20},
        "cost_usd": 0.25,
        "duration_ms": 1500.0,
        "ttft_ms": 200.0,
        "api": "messages",
    }
    lake.append({"event_type": "llm_call", "span_id": "call", "parent_id": "root",
                 "timestamp": f"{at}1Z", **common, "data": call})  # fmt: skip
    lake.append({"event_type": "agent_end", "span_id": "root", "timestamp": f"{at}5Z", **common,
                 "data": {"status": "ok"}})  # fmt: skip
    return lake


def _shape(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _shape(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_shape(value[0])] if value else []
    return "number" if isinstance(value, int | float) else type(value).__name__


def test_health_is_as_documented(client: TestClient) -> None:
    """`/health` tells truly that no collector runs, in the documented form."""
    answer = client.get("/health").json()
    example = EXAMPLES["GET /health"][0]
    assert {**answer, "lake": "…", "version": example["version"]} == example


def test_traces_are_as_documented(client: TestClient, documented: Lake) -> None:
    """The list gives exactly what the documentation shows."""
    answer = client.get("/api/traces?agents=coder&limit=1").json()
    assert answer == EXAMPLES["GET /api/traces"][0]


def test_the_graph_is_as_documented(client: TestClient, documented: Lake) -> None:
    """The nodes of a trace are exactly those of the documentation."""
    answer = client.get("/api/traces/t1").json()
    assert answer["nodes"] == EXAMPLES["GET /api/traces/{id}"][0]
    assert answer["trace"]["final_output"] == "Fixed."
    assert [span["span_id"] for span in answer["spans"]] == ["root", "call"]
    assert answer["spans"][1]["messages"] == [{"role": "user", "content": "Fix it."}]


def test_a_test_is_as_documented(client: TestClient, documented: Lake) -> None:
    """The documented request is answered in the documented form, and recorded."""
    wish, example = EXAMPLES["POST /api/execute/llm"]
    answer = client.post("/api/execute/llm", json=wish)
    assert answer.status_code == 200, answer.text
    found = answer.json()
    assert _shape(found) == _shape(example)
    assert found["test"]["status"] == "ok"
    test = documented.spans().filter(span_id=found["test"]["span_id"]).collect()
    row = test.row(0, named=True)
    assert (row["system"], json.loads(row["request"])["max_tokens"]) == ("Be very brief.", 50)
    assert (row["forked_from_trace_id"], row["source"]) == ("t1", "playground")


def test_a_recorded_call_is_executed_in_another_format(
    client: TestClient, documented: Lake
) -> None:
    """A Messages call goes to a Chat model, and the answer says what could not go along."""
    wish = {
        "trace_id": "t1",
        "span_id": "call",
        "api": "chat",
        "model": "gpt-4o",
        "parameters": {"seed": 1},
        "target": {"name": "offline"},
    }
    answer = client.post("/api/execute/llm", json=wish)
    assert answer.status_code == 200, answer.text
    found = answer.json()
    assert (found["test"]["status"], found["test"]["model"]) == ("ok", "gpt-4o")
    assert found["conversion"].keys() == {"lost", "changed"}
    assert found["comparison"]["deltas"]
    test = documented.spans().filter(span_id=found["test"]["span_id"]).collect()
    row = test.row(0, named=True)
    assert json.loads(row["attributes"])["api"] == "chat"
    assert json.loads(row["request"])["seed"] == 1


def test_what_is_redacted_is_not_recorded_of_a_test(
    client: TestClient, documented: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the user's patterns match is sent and answered, and never reaches the disk."""
    monkeypatch.setenv("TRACELAKE_REDACT", "hunter[0-9]")
    wish = {"trace_id": "t1", "span_id": "call", "target": {"name": "offline"}}
    answer = client.post("/api/execute/llm", json={**wish, "system": "Say hunter2 to nobody."})
    assert answer.json()["test"]["status"] == "ok"
    span_id = answer.json()["test"]["span_id"]
    row = documented.spans().filter(span_id=span_id).collect().row(0, named=True)
    assert row["system"] == "Say [redacted] to nobody."
    files = [path for path in documented.hot.parent.rglob("*") if path.is_file()]
    assert not [path for path in files if b"hunter2" in path.read_bytes()]


@pytest.mark.parametrize(
    ("wish", "status"),
    [
        ({"trace_id": "t1", "span_id": "nope"}, 404),
        ({"trace_id": "t1", "span_id": "call", "api": "smoke"}, 400),
        ({"trace_id": "t1", "span_id": "root"}, 400),
        ({"trace_id": "t1"}, 400),
        ({"sistem": "x"}, 400),
        ({"api": "smoke", "messages": "x"}, 400),
        ({"api": "messages"}, 400),
        ({"api": "messages", "messages": 7}, 400),
        ({"api": "messages", "messages": "x", "target": {"name": "moon"}}, 400),
        ([], 400),
    ],
)
def test_what_cannot_be_executed_says_why(
    client: TestClient, documented: Lake, wish: Any, status: int
) -> None:
    """A wrong wish is one line and a fitting status; nothing is sent or recorded."""
    answer = client.post("/api/execute/llm", json=wish)
    assert answer.status_code == status
    assert answer.json()["error"]
    assert len(documented.traces().collect()) == 1


@pytest.mark.parametrize(
    "query", ["bogus=1", "limit=0", "limit=9999", "page=x", "order=best", "since=soon"]
)
def test_what_cannot_be_listed_says_why(client: TestClient, query: str) -> None:
    """An unknown or impossible parameter is an error, never a wider answer."""
    answer = client.get(f"/api/traces?{query}")
    assert answer.status_code == 400
    assert "\n" not in answer.json()["error"]


def test_an_absent_trace_is_404(client: TestClient) -> None:
    """Asking for a trace that is not there is told as such."""
    assert client.get("/api/traces/nope").status_code == 404


def test_pages_page_through_everything_once(client: TestClient, lake: Lake) -> None:
    """Page by page, every trace is given once, in order."""
    for day in range(10, 17):
        add_trace(lake, f"t{day}", agent="a", model="gpt-4o", day=day)
    pages = [client.get(f"/api/traces?limit=3&page={n}").json() for n in (1, 2, 3, 4)]
    found = [row["trace_id"] for page in pages for row in page["traces"]]
    assert found == [f"t{day}" for day in range(16, 9, -1)]
    assert {page["total"] for page in pages} == {7}


@pytest.mark.parametrize("path", ["/health", "/api/traces", "/api/traces/t1", "/api/execute/llm"])
def test_a_foreign_page_reaches_no_route(client: TestClient, path: str) -> None:
    """Every route refuses a foreign origin and a rebound name before doing anything."""
    method = "POST" if "execute" in path else "GET"
    foreign = client.request(method, path, headers={"Origin": "http://evil.example"})
    assert foreign.status_code == 403
    rebound = client.request(method, path, headers={"Host": "evil.example"})
    assert rebound.status_code == 403


def test_our_own_page_shows_its_token(client: TestClient) -> None:
    """A request with our Origin is served with a session's token only."""
    headers = {"Origin": "http://localhost"}
    assert client.get("/api/traces", headers=headers).status_code == 401
    headers[guard.TOKEN_HEADER] = guard.issue_token()
    assert client.get("/api/traces", headers=headers).status_code == 200
