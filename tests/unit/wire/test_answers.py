"""Answers of the smaller formats, errors of every shape, and prices."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from tests.unit.wire.exchanges import CHAT, MESSAGES, RESPONSES, answered
from tracelake.wire import Usage

HAIKU = "claude-3-haiku-20240307"


def test_an_ollama_chat_stream_is_read() -> None:
    """Lines of JSON give text, thinking, tool calls without id, and token counts."""
    lines = (
        b'{"model":"qwen3","message":{"role":"assistant","content":"","thinking":"Hm"}}\n'
        b'{"model":"qwen3","message":{"role":"assistant","content":"Hel"}}\n'
        b'{"message":{"content":"lo","tool_calls":[{"function":{"name":"f","arguments":{"a":1}}}]}}'
        b'\n{"done":true,"done_reason":"stop","prompt_eval_count":7,"eval_count":3}\n'
    )
    response = answered("/api/chat", lines, upstream="ollama")
    assert (response.text, response.model, response.finish_reason) == ("Hello", "qwen3", "stop")
    assert [(a.kind, a.text or a.arguments) for a in response.atoms] == [
        ("thinking", "Hm"),
        ("text", "Hello"),
        ("tool_call", '{"a":1}'),
    ]
    assert response.usage == Usage(input=7, output=3)
    assert (response.cost_usd, response.cost_note) == (
        None,
        "no list price: served by ollama",
    )


def test_an_ollama_generate_answer_is_read() -> None:
    """Whole and streamed answers of the prompt endpoint give their text."""
    whole = {"model": "m", "response": "Hi", "done": True}
    assert answered("/api/generate", whole).text == "Hi"
    lines = b'{"response":"H"}\n{"response":"i"}\n{"error":"out of memory"}'
    response = answered("/api/generate", lines)
    assert (response.text, response.error) == ("Hi", "out of memory")


def test_embeddings_are_summed_up() -> None:
    """Vectors are not kept, only how many there were and how long."""
    answer = {
        "model": "text-embedding-3-small",
        "data": [{"embedding": [0.1, 0.2]}, {"embedding": "AAAAAAAAAAA="}],
        "usage": {"prompt_tokens": 1000, "total_tokens": 1000},
    }
    response = answered("/v1/embeddings", answer)
    assert [block["dimensions"] for block in response.blocks] == [2, 2]
    assert response.usage == Usage(input=1000)
    assert response.cost_usd == pytest.approx(1000 * 0.02 / 1e6)


def test_a_list_of_models_is_kept() -> None:
    """Asking for the models is answered by them and not billed."""
    response = answered("/v1/models", {"data": [{"id": "a"}]}, method="GET")
    assert (response.blocks, response.cost_note) == ([{"id": "a"}], "not billed")


@pytest.mark.parametrize(
    ("status", "body", "error_type", "error"),
    [
        (400, {"error": {"type": "bad", "message": "no", "code": "x"}}, "bad", "no"),
        (404, {"type": "error", "error": {"type": "gone", "message": "no"}}, "gone", "no"),
        (429, {"error": {"code": 429, "message": "slow"}}, "too_many_requests", "slow"),
        (400, [{"error": {"code": 400, "message": "no", "status": "INVALID"}}], "INVALID", "no"),
        (404, {"error": "model 'x' not found"}, "not_found", "model 'x' not found"),
        (400, {"object": "error", "type": "BadRequest", "message": "no"}, "BadRequest", "no"),
        (
            422,
            {"detail": [{"type": "missing", "loc": ["body"], "msg": "Field required"}]},
            "unprocessable_entity",
            "Field required",
        ),
        (500, {"detail": "boom"}, "internal_server_error", "boom"),
        (403, {"message": "denied", "__type": "AccessDenied"}, "AccessDenied", "denied"),
        (502, b"<html><title>502 Bad Gateway</title><p>x</html>", "bad_gateway", "502 Bad Gateway"),
        (503, b"upstream <b>connect</b> error", "service_unavailable", "upstream connect error"),
        (529, b"", "http_529", "HTTP 529"),
        (500, {}, "internal_server_error", "HTTP 500"),
    ],
)
def test_errors_of_every_shape_are_read(
    status: int, body: Any, error_type: str, error: str
) -> None:
    """Class and message are found whatever server or gateway made the error."""
    response = answered(CHAT, body, status=status)
    assert (response.error_type, response.error) == (error_type, error)
    assert (response.cost_usd, response.cost_note) == (None, "the call failed")


def test_an_error_sent_as_a_stream_is_read() -> None:
    """An error status with an event stream as its body tells its error."""
    body = b'event: error\ndata: {"type":"error","error":{"type":"over","message":"busy"}}\n\n'
    response = answered(MESSAGES, body, status=529)
    assert (response.error_type, response.error) == ("over", "busy")


def test_a_page_instead_of_an_answer_is_an_error() -> None:
    """A login page with status 200 is no answer, and is kept to be looked at."""
    response = answered(CHAT, b"<html><title>Sign in</title></html>")
    assert (response.error_type, response.error) == ("unreadable_answer", "Sign in")
    assert "Sign in" in response.blocks[0]["text"]


@pytest.mark.parametrize("path", [CHAT, MESSAGES, RESPONSES])
def test_an_answer_in_flight_is_neither_failed_nor_priced(path: str) -> None:
    """While a call runs there is nothing to say of it yet."""
    response = answered(path, b"", status=None, outcome="running")
    assert (response.error, response.cost_note, response.text) == (None, None, "")


def test_a_whole_answer_cut_off_is_incomplete() -> None:
    """A JSON body that broke off is kept as text and told as incomplete."""
    response = answered(CHAT, b'{"choices":[{"mess')
    assert response.error_type == "incomplete_answer"
    assert response.blocks[0]["text"].startswith('{"choices"')


def chat(model: str, **usage: Any) -> dict[str, Any]:
    """A chat answer with the given usage."""
    return {
        "model": model,
        "choices": [],
        "usage": {"prompt_tokens": 1000, "completion_tokens": 100, **usage},
    }


def test_an_unknown_model_has_no_cost_but_a_reason() -> None:
    """What nobody has a price for is unknown, not free."""
    response = answered(CHAT, chat("made-up-1"), {"model": "made-up"})
    assert (response.cost_usd, response.cost_note) == (
        None,
        "no price known for made-up-1 of openai",
    )


def test_the_model_asked_for_stands_in_for_an_unknown_one() -> None:
    """Where only the model that was asked for has a price, that is taken, and said."""
    response = answered(CHAT, chat("made-up-1"), {"model": "gpt-4o-mini"})
    assert response.cost_usd is not None
    assert response.cost_note == "priced as gpt-4o-mini, the model asked for"


def test_azure_is_priced_by_the_model_that_answered() -> None:
    """A deployment's name says nothing of the price."""
    path = "/openai/deployments/gpt-4/chat/completions"
    response = answered(path, chat("gpt-4o-mini-2024-07-18"), {"model": "gpt-4"})
    assert response.cost_usd == pytest.approx((1000 * 0.15 + 100 * 0.6) / 1e6)


def test_the_offline_provider_is_priced_as_if() -> None:
    """An answer of the offline provider says so beside its price."""
    headers = (("x-tracelake-offline", "1"),)
    response = answered(CHAT, chat("gpt-4o-mini"), response_headers=headers)
    assert response.cost_usd is not None
    assert response.cost_note == "as if: offline provider"


def test_a_gateway_is_priced_by_the_vendor_it_names() -> None:
    """A model behind an unknown gateway has its vendor's list price, and the note says so."""
    response = answered(CHAT, chat(f"anthropic/{HAIKU}"), upstream="mygateway")
    assert response.cost_usd == pytest.approx((1000 * 0.25 + 100 * 1.25) / 1e6)
    assert response.cost_note == "list price of anthropic; no price known for mygateway"


def test_a_cost_that_the_provider_reports_stands_in() -> None:
    """Where no list has the model, what the provider says it cost is taken, and said."""
    answer = chat("vendor/made-up", cost=0.25)
    response = answered(CHAT, answer, {"model": "auto"}, upstream="openrouter")
    assert (response.cost_usd, response.cost_note) == (0.25, "as reported by the provider")


def test_counts_that_contradict_each_other_are_still_priced() -> None:
    """More reasoning than output and more cache than input do not lose the price."""
    usage = {
        "prompt_tokens_details": {"cached_tokens": 5000},
        "completion_tokens_details": {"reasoning_tokens": 5000},
    }
    assert answered(CHAT, chat("gpt-4o", **usage)).cost_usd is not None


def test_prices_are_those_of_the_day() -> None:
    """A model whose price changed is priced by the date of the call."""
    usage = {"input_tokens": 250_000, "output_tokens": 0}
    costs = [
        answered(
            MESSAGES,
            {"model": "claude-sonnet-4-6", "content": [], "usage": usage},
            start_time=moment,
        ).cost_usd
        for moment in (datetime(2026, 3, 1, tzinfo=UTC), datetime(2026, 4, 1, tzinfo=UTC))
    ]
    assert costs == pytest.approx([250_000 * 6 / 1e6, 250_000 * 3 / 1e6])
