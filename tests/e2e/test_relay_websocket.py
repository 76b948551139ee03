"""The official SDK's WebSocket client works through a running relay, and its calls become spans."""

from __future__ import annotations

import json
import threading
from typing import TYPE_CHECKING, Any

import pytest
from openai import OpenAI
from websockets.sync.server import ServerConnection, serve

from tests.e2e.relay_support import RelayProcess
from tests.support import eventually
from tracelake import Lake
from tracelake.infer import Inference
from tracelake.ingest.pipeline import Pipeline
from tracelake.storage.tail import Tail
from tracelake.storage.xlog import SUFFIX, Record, read_records

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.e2e


def answer(connection: ServerConnection) -> None:
    """Answer each `response.create` with the events that HTTP would have streamed."""
    for number, message in enumerate(connection):
        asked = json.loads(message)
        text = f"{asked['input'][0]['content']} answered. " * 40
        part = {"type": "output_text", "text": text, "annotations": []}
        item = {
            "type": "message",
            "id": f"m{number}",
            "role": "assistant",
            "status": "completed",
            "content": [part],
        }
        response: dict[str, Any] = {
            "id": f"r{number}",
            "object": "response",
            "model": asked["model"],
            "status": "in_progress",
            "output": [],
        }
        usage = {"input_tokens": 9, "output_tokens": 3, "total_tokens": 12}
        whole = {**response, "status": "completed", "output": [item], "usage": usage}
        events = [
            {"type": "response.created", "response": response},
            {"type": "response.output_text.delta", "item_id": f"m{number}", "delta": text},
            {"type": "response.output_item.done", "output_index": 0, "item": item},
            {"type": "response.completed", "response": whole},
        ]
        for sequence, event in enumerate(events):
            connection.send(json.dumps({**event, "sequence_number": sequence}))


def test_calls_over_a_websocket_become_spans(tmp_path: Path) -> None:
    """Two calls on one compressed connection: the client gets both, both are in the lake."""
    with serve(answer, "127.0.0.1", 0) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.socket.getsockname()[1]}/v1"
        with RelayProcess(tmp_path, openai=url) as relay:
            client = OpenAI(base_url=f"{relay.address}/r/run-1/v1", api_key="k", max_retries=0)
            options: Any = {"compression": "deflate"}
            connecting = client.responses.connect(websocket_connection_options=options)
            with client, connecting as connection:
                for text in ("first", "second"):
                    message = {"type": "message", "role": "user", "content": text}
                    connection.response.create(model="gpt-5", input=[message])  # type: ignore[list-item]
                    got = next(e for e in connection if e.type == "response.completed")
                    assert got.response.output_text.startswith(f"{text} answered.")
            recorded = relay.recorded("/v1/responses").exchange
        server.shutdown()
    assert recorded.status == 101
    assert "permessage-deflate" in (recorded.response_header("sec-websocket-extensions") or "")

    lake = Lake(tmp_path / "lake")
    done: list[str | None] = []
    pipeline = Pipeline(
        inference=Inference(),
        append=lake.append,
        done=lambda _span, trace, _client: done.append(trace),
        identify=lambda _exchange: {},
    )
    for segment in tmp_path.glob("*.xlog"):
        for record in read_records(segment)[0]:
            pipeline.handle(record)
    assert done == ["run-1"]
    calls = lake.trace("run-1").filter(kind="llm").sort("start_time")
    assert calls["tokens_input"].to_list() == [9, 9]
    assert calls["status"].to_list() == ["ok", "ok"]
    assert [r[:14] for r in calls["response"]] == ["first answered", "second answere"]


def test_a_call_is_a_span_while_its_websocket_is_open(tmp_path: Path) -> None:
    """Each call is told as it begins and as it ends, with its own times, and once."""
    lake = Lake(tmp_path / "lake")
    pipeline = Pipeline(
        inference=Inference(),
        append=lake.append,
        done=lambda _span, _trace, _client: None,
        identify=lambda _exchange: {},
    )
    tail: Tail[Record] = Tail(tmp_path, SUFFIX, read_records)

    def calls() -> Any:
        for record in tail.poll():
            pipeline.handle(record)
        spans = lake.spans().filter(trace_id="run-1", kind="llm").sort("start_time")
        return spans.collect()

    with serve(answer, "127.0.0.1", 0) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.socket.getsockname()[1]}/v1"
        with RelayProcess(tmp_path, openai=url) as relay:
            client = OpenAI(base_url=f"{relay.address}/r/run-1/v1", api_key="k", max_retries=0)
            with client, client.responses.connect() as connection:
                for number, text in enumerate(("first", "second"), 1):
                    message = {"type": "message", "role": "user", "content": text}
                    connection.response.create(model="gpt-5", input=[message])  # type: ignore[list-item]
                    next(e for e in connection if e.type == "response.completed")
                    eventually(lambda n=number: calls()["status"].to_list() == ["ok"] * n)
                live = calls()
            relay.recorded("/v1/responses")
        server.shutdown()
    assert [r[:6] for r in live["response"]] == ["first ", "second"]
    assert live["end_time"][0] < live["start_time"][1]
    assert all(0 < ttft_ms < 5000 for ttft_ms in live["ttft_ms"])
    assert any(moment.microsecond for moment in live["start_time"])
    assert (
        calls()
        .select("span_id", "start_time", "end_time", "response")
        .equals(live.select("span_id", "start_time", "end_time", "response"))
    ), "its end tells nothing anew"
