"""OpenTelemetry over real HTTP into a running collector, until readers see the trace."""

from __future__ import annotations

import gzip
import json
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from typing import TYPE_CHECKING, Any

import psutil
import pytest

from tests.e2e.relay_support import Upstream
from tests.otlp_bodies import TRACE, as_json, as_protobuf, span, span_id
from tests.support import eventually
from tracelake import Lake
from tracelake.config import locate
from tracelake.errors import LakeError
from tracelake.graph import GraphBuilder
from tracelake.ingest.collector import Options, start

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.e2e

PROTOBUF, JSON = "application/x-protobuf", "application/json"
AGENT = {"gen_ai.operation.name": "invoke_agent", "gen_ai.agent.name": "boss"}
CHAT = {"gen_ai.operation.name": "chat", "gen_ai.request.model": "gpt-4.1"}
TOOL = {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "look"}
SDK_PROGRAM = """
import sys
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

provider = TracerProvider()
provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(sys.argv[1] + "/v1/traces")))
tracer = provider.get_tracer("program")
agent = {"gen_ai.operation.name": "invoke_agent", "gen_ai.agent.name": "boss"}
with tracer.start_as_current_span("invoke_agent boss", attributes=agent) as root:
    call = {"gen_ai.operation.name": "chat", "gen_ai.request.model": "gpt-4.1"}
    with tracer.start_as_current_span("chat gpt-4.1", attributes=call):
        pass
    print(format(root.get_span_context().trace_id, "032x"))
provider.shutdown()
"""


def post(
    address: str, path: str, body: bytes, content_type: str = PROTOBUF, **headers: str
) -> tuple[int, str, bytes]:
    """Status, content type and body of an answer."""
    request = urllib.request.Request(
        address + path, data=body, headers={"Content-Type": content_type, **headers}
    )
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, answer.headers["Content-Type"], answer.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.headers["Content-Type"], error.read()


def tree(lake: Lake, trace_id: str = TRACE) -> dict[str, dict[str, Any]]:
    """Spans of a trace by id."""
    return {row["span_id"]: row for row in lake.trace(trace_id).iter_rows(named=True)}


def test_what_was_acknowledged_is_in_the_graph(tmp_path: Path) -> None:
    """Children first, in both forms, packed, under a base path; bad requests are told why.

    A receiver that was killed comes back on its port.
    """
    with (
        start(locate(tmp_path / "lake"), Options(port=0)) as collector,
        Lake(tmp_path / "lake") as lake,
    ):
        address = collector.addresses["otlp"]
        calls = as_protobuf(span(2, parent=1, attributes=CHAT), span(3, parent=1, attributes=TOOL))
        packed = {"Content-Encoding": "gzip"}
        assert post(address, "/v1/traces", gzip.compress(calls), **packed) == (200, PROTOBUF, b"")
        root = as_json(span(1, attributes=AGENT))
        assert post(address, "/my/project/v1/traces", root, JSON) == (200, JSON, b"{}")
        spans = tree(lake)  # at once: what was acknowledged is there
        assert {key: row["kind"] for key, row in spans.items()} == {
            span_id(1): "agent",
            span_id(2): "llm",
            span_id(3): "tool",
        }
        assert {row["agent_name"] for row in spans.values()} == {"boss"}
        assert spans[span_id(1)]["role"] == "orchestrator"
        builder = GraphBuilder(TRACE)
        nodes = [node for row in spans.values() for node in builder.apply(row).nodes]
        assert {node["id"] for node in nodes} >= set(spans)

        assert post(address, "/v1/metrics", b"", PROTOBUF)[0] == 200
        assert post(address, "/v1/logs", b"{}", JSON) == (200, JSON, b"{}")
        status, kind, body = post(address, "/v1/traces", b"{", JSON)
        assert (status, kind, json.loads(body)["code"]) == (400, JSON, 3)
        assert post(address, "/v1/traces", b"\xff", PROTOBUF)[:2] == (400, PROTOBUF)
        bomb = gzip.compress(bytes(80 << 20))
        assert post(address, "/v1/traces", bomb, PROTOBUF, **packed)[0] == 413
        assert post(address, "/v1/traces", b"x", "text/plain")[0] == 415
        assert post(address, "/v2/else", b"x")[0] == 404
        assert post(address, "/v1/traces", root, JSON, Host="rebound.example")[0] == 403
        assert post(address, "/v1/traces", root, JSON, Origin="http://evil.example")[0] == 403

        family = psutil.Process(collector.state.pid).children()
        ingest = next(p for p in family if "tracelake.ingest" in p.cmdline())
        ingest.kill()
        ingest.wait()

        def answers() -> bool:
            try:
                return post(address, "/v1/traces", as_json(span(4, parent=1)), JSON)[0] == 200
            except OSError:
                return False

        eventually(answers)
        assert span_id(4) in tree(lake)


def test_a_port_in_use_is_one_clear_error(tmp_path: Path) -> None:
    """A port that was asked for is not exchanged for another one in silence; any_port does."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        location = locate(tmp_path / "lake")
        with pytest.raises(LakeError, match=f"OpenTelemetry on 127.0.0.1:{port}.*--otlp-port"):
            start(location, Options(port=0, otlp_port=port))
        with start(location, Options(port=0, otlp_port=port, any_port=True)) as collector:
            assert collector.addresses["otlp"] != f"http://127.0.0.1:{port}"


def test_spans_join_the_calls_that_the_relay_recorded(tmp_path: Path) -> None:
    """One trace with one root; the call that both saw counts once."""
    with Upstream() as upstream, Lake(tmp_path / "lake") as lake:
        options = Options(port=0, openai_backend=upstream.url)
        with start(locate(tmp_path / "lake"), options) as collector:
            body = b'{"model": "gpt-4.1", "messages": [{"role": "user", "content": "hi"}]}'
            relay = collector.addresses["relay"]
            parent = f"00-{TRACE}-{span_id(3)}-01"
            post(relay, "/r/run-1/v1/chat/completions", body, JSON, traceparent=parent)

            def recorded() -> list[dict[str, Any]]:
                found = lake.spans().filter(kind="llm", trace_id="run-1").collect()
                return found.to_dicts() if "running" not in found["status"] else []

            (call,) = eventually(recorded)
            batch = [
                span(3, "POST", 2),
                span(2, parent=1, attributes=CHAT),
                span(1, attributes=AGENT),
            ]
            assert post(collector.addresses["otlp"], "/v1/traces", as_protobuf(*batch))[0] == 200
            spans = tree(lake, "run-1")
            assert spans[span_id(2)]["duplicate_of"] == call["span_id"]
            roots = [row for row in spans.values() if row["parent_id"] is None]
            assert [row["role"] for row in roots] == ["orchestrator"]
            assert spans[span_id(1)]["parent_id"] == roots[0]["span_id"]


def test_the_official_exporter_is_understood(tmp_path: Path) -> None:
    """An unmodified program with the OpenTelemetry SDK shows up as it ran."""
    with (
        start(locate(tmp_path / "lake"), Options(port=0)) as collector,
        Lake(tmp_path / "lake") as lake,
    ):
        command = [sys.executable, "-c", SDK_PROGRAM, collector.addresses["otlp"]]
        ran = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
        spans = tree(lake, ran.stdout.strip())
        assert sorted(row["kind"] for row in spans.values()) == ["agent", "llm"]
        assert {row["agent_name"] for row in spans.values()} == {"boss"}
