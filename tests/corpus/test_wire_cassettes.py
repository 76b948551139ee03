"""Every recorded exchange is read to what the official SDKs made of it."""

from __future__ import annotations

import json
import random
from collections import Counter, defaultdict
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from tests.corpus.cassettes import CASSETTES, Cassette, each_cassette, needs_corpus
from tracelake.wire import (
    Request,
    Response,
    conversation,
    read_request,
    read_response,
    rebuild_body,
    response_turn,
)
from tracelake.wire.sse import SseParser, parse_events

if TYPE_CHECKING:
    from collections.abc import Callable

    from tracelake.model import Exchange


def read(exchange: Exchange) -> tuple[Request, Response]:
    """Request and response of an exchange that is known to be a call."""
    request = read_request(exchange)
    assert request is not None
    return request, read_response(exchange, request)


def problems(cassette: Cassette, exchange: Exchange) -> list[str]:
    """What of the expectation does not hold, one line each."""
    _, response = read(exchange)
    expect = cassette.entry["expect"] or {}
    found: dict[str, Any] = {}
    wanted: dict[str, Any] = {}
    if "error" in expect:
        error = expect["error"].get("error", expect["error"])
        found["error"], wanted["error"] = response.error, error["message"]
    elif expect and cassette.entry["endpoint"] == "embeddings":
        found["n"], wanted["n"] = len(response.blocks), expect["n"]
    elif expect:
        found |= found_in(cassette.entry["endpoint"], response)
        wanted |= {key: expect[key] for key in found if key in expect}
        found = {key: value for key, value in found.items() if key in wanted}
        for shown in (found, wanted):
            if isinstance(shown["finish"], list):
                shown["finish"] = [reason or None for reason in shown["finish"]]
            if "refusal" in shown:
                shown["refusal"] = [refusal or None for refusal in shown["refusal"]]
    if expect.get("model"):
        found["model"], wanted["model"] = response.model, expect["model"]
    if expect.get("usage"):
        found["usage"], wanted["usage"] = found_usage(expect["usage"], response)
    return [
        f"{cassette.name} {key}: wanted {wanted[key]!r}, found {found[key]!r}"
        for key in wanted
        if wanted[key] != found[key]
    ]


def found_in(endpoint: str, response: Response) -> dict[str, Any]:
    """Text, tools, refusals, finish reasons and thinking in the shape of the index."""
    if endpoint == "chat":
        messages = [choice.get("message") or {} for choice in response.blocks]
        texts = [chat_text(message.get("content")) for message in messages]
        assert not messages or response.text == texts[0]
        return {
            "text": texts,
            "tools": [
                [chat_call(call) for call in message.get("tool_calls") or []]
                for message in messages
            ],
            "refusal": [message.get("refusal") for message in messages],
            "finish": [choice.get("finish_reason") for choice in response.blocks],
        }
    if endpoint == "messages":
        return {
            "text": response.text,
            "tools": [
                [block["id"], block["name"], block["input"]]
                for block in response.blocks
                if block["type"] in {"tool_use", "server_tool_use"}
            ],
            "think": "".join(block.get("thinking", "") for block in response.blocks),
            "finish": response.finish_reason,
        }
    return {
        "text": response.text,
        "tools": [
            [item["call_id"], item["name"], item["arguments"]]
            for item in response.blocks
            if item["type"] == "function_call"
        ],
        "finish": response.finish_reason,
    }


def chat_call(call: dict[str, Any]) -> list[Any]:
    """Id, name and arguments of a chat message's tool call, of a custom one its input."""
    target = call.get("function") or call.get("custom") or {}
    return [call.get("id"), target.get("name"), target.get("arguments", target.get("input"))]


def chat_text(content: Any) -> str:
    """The text of a chat message's content, of its text blocks where it is a list."""
    if isinstance(content, list):
        return "".join(block.get("text", "") for block in content if block["type"] == "text")
    return content or ""


def found_usage(usage: dict[str, Any], response: Response) -> tuple[Any, Any]:
    """Usage as read, and as the index wants it with cached tokens counted as input."""
    found, wanted = [], []
    actual = response.usage
    cached = (usage.get(f"cache_{kind}_input_tokens") or 0 for kind in ("read", "creation"))
    extra = sum(cached)
    for keys, value in (
        (("input_tokens", "prompt_tokens", "total_tokens"), actual.input),
        (("output_tokens",), actual.output),
        (("cached", "cache_read_input_tokens"), actual.cache_read),
        (("cache_creation_input_tokens",), actual.cache_write),
        (("reasoning",), actual.reasoning),
    ):
        key = next((key for key in keys if usage.get(key) is not None), None)
        if key is not None:
            found.append((key, value))
            wanted.append((key, usage[key] + (extra if key == "input_tokens" else 0)))
    return found, wanted


@each_cassette()
@pytest.mark.parametrize("compress", [False, True], ids=["plain", "gzip"])
def test_an_exchange_is_read_as_the_sdk_read_it(cassette: Cassette, *, compress: bool) -> None:
    """Text, tools, refusal, finish reason, model, usage and error match the expectation."""
    assert problems(cassette, cassette.exchange(compress=compress)) == []


@each_cassette()
def test_stream_events_do_not_depend_on_chunks(cassette: Cassette) -> None:
    """A body that arrives seven bytes at a time gives the same events as one that comes at once."""
    body = cassette.recorded["response"]["body"].encode()
    parser = SseParser()
    events = [e for start in range(0, len(body), 7) for e in parser.feed(body[start : start + 7])]
    assert [*events, *parser.close()] == parse_events(body)


@each_cassette()
def test_an_unedited_call_rebuilds_to_the_recorded_body(cassette: Cassette) -> None:
    """Opening a recorded call and sending it unedited sends the same JSON body."""
    request, _ = read(cassette.exchange())
    body = rebuild_body(
        request.api, request.parameters, request.system, request.messages, request.tools
    )
    assert body == cassette.request_json


@each_cassette()
def test_a_conversation_shows_every_message(cassette: Cassette) -> None:
    """No message is lost for display, and the answer has a part for all that came."""
    request, response = read(cassette.exchange())
    turns = conversation(request.api, request.messages, request.system)
    if isinstance(request.messages, list) and not is_tokens(request.messages):
        shown = {turn.index for turn in turns} - {None}
        empty = {i for i, m in enumerate(request.messages) if m == {} or is_silent(m)}
        assert shown | empty == set(range(len(request.messages)))
    if request.api in {"chat", "messages", "responses"} and response.text:
        assert response_turn(request.api, response.blocks).parts
        assert response.atoms


def is_silent(message: Any) -> bool:
    """Whether a message says nothing at all."""
    if not isinstance(message, dict):
        return False
    content = message.get("content")
    if isinstance(content, list):
        return all(isinstance(b, dict) and b.get("text") == "" for b in content)
    return not content


def is_tokens(prompt: list[Any]) -> bool:
    """Whether an input is one list of token numbers: shown as one."""
    return all(isinstance(number, int) for number in prompt)


@each_cassette()
def test_a_body_cut_anywhere_is_read(cassette: Cassette) -> None:
    """A call whose answer broke off, compressed or not, gives what came and never fails."""
    for compress in (False, True):
        exchange = cassette.exchange(compress=compress)
        body = exchange.response_body
        for share in (0, 1, 3, 5, 7, 9):
            cut = body[: len(body) * share // 10]
            partial = replace(exchange, response_body=cut, outcome="upstream_died")
            _, response = read(partial)
            assert response.error_type
            json.dumps(response.blocks)


def damaged(value: Any, chance: random.Random) -> Any:
    """A JSON value with things left out, set to null or of another type here and there."""
    if chance.random() < 0.03:
        return chance.choice([None, 0, "", [], {}, "x", -1, 1.5, True, [None], {"a": 1}])
    if isinstance(value, dict):
        kept = {k: v for k, v in value.items() if chance.random() > 0.03}
        return {k: damaged(v, chance) for k, v in kept.items()}
    if isinstance(value, list):
        return [damaged(v, chance) for v in value if chance.random() > 0.03]
    return value


def damaged_body(body: bytes, chance: random.Random) -> bytes:
    """A JSON body or stream whose values are damaged; a stream also loses lines."""
    if body.lstrip().startswith(b"{"):
        return json.dumps(damaged(json.loads(body), chance)).encode()
    lines: list[bytes] = []
    for line in body.split(b"\n"):
        if chance.random() < 0.01:
            continue
        is_json = line.startswith(b"data: {")
        value = damaged(json.loads(line[6:]), chance) if is_json else None
        lines.append(b"data: " + json.dumps(value).encode() if is_json else line)
    return b"\n".join(lines)


@each_cassette()
def test_a_body_of_another_shape_is_read(cassette: Cassette) -> None:
    """Whatever a provider leaves out, nulls or sends as another type, reading never fails."""
    chance = random.Random(cassette.name)
    exchange = cassette.exchange()
    for _ in range(3):
        odd = replace(
            exchange,
            request_body=json.dumps(damaged(cassette.request_json, chance)).encode(),
            response_body=damaged_body(exchange.response_body, chance),
        )
        request, response = read(odd)
        json.dumps(response.blocks)
        conversation(request.api, request.messages, request.system)
        response_turn(request.api, response.blocks)


@needs_corpus
def test_table_by_provider_and_endpoint(figures: Callable[[str], None]) -> None:
    """Every provider and endpoint of the corpus is read without a difference; prints the table."""
    rows: dict[tuple[str, str, str], Counter[str]] = defaultdict(Counter)
    unequal: list[str] = []
    for cassette in CASSETTES:
        entry = cassette.entry
        row = rows[entry["provider"], entry["endpoint"], "stream" if entry["stream"] else "json"]
        row["exchanges"] += 1
        request, response = read(cassette.exchange())
        row["priced"] += response.cost_usd is not None
        row["errors"] += response.error_type is not None
        row["no expectation"] += not entry["expect"]
        rebuilt = rebuild_body(
            request.api, request.parameters, request.system, request.messages, request.tools
        )
        row["same body"] += rebuilt == cassette.request_json
        wrong = [
            line
            for compress in (False, True)
            for line in problems(cassette, cassette.exchange(compress=compress))
        ]
        row["as expected"] += not wrong
        unequal += wrong
    columns = ("exchanges", "as expected", "same body", "errors", "priced", "no expectation")
    lines = [f"{'provider':40}{'endpoint':12}{'':8}" + "".join(f"{c:>16}" for c in columns)]
    for (provider, endpoint, kind), row in sorted(rows.items()):
        counts = "".join(f"{row[c]:>16}" for c in columns)
        lines.append(f"{provider:40}{endpoint:12}{kind:8}{counts}")
    total = sum(rows.values(), Counter[str]())
    lines.append(f"{'total':60}" + "".join(f"{total[c]:>16}" for c in columns))
    figures("\n".join(lines))
    assert unequal == []
