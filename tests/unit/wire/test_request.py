"""Requests: which endpoint, which provider, and bodies built again, unedited and edited."""

from __future__ import annotations

import gzip
import json
from typing import Any

import pytest

from tests.unit.wire.exchanges import CHAT, MESSAGES, RESPONSES, asked, exchange
from tracelake.model import UPSTREAM_URL
from tracelake.wire import read_request, rebuild_body


def rebuilt(path: str, body: dict[str, Any], **edits: Any) -> dict[str, Any]:
    """The body that is built again of a request, with edits of its parts."""
    request = asked(path, body)
    parts: dict[str, Any] = {
        "parameters": request.parameters,
        "system": request.system,
        "messages": request.messages,
        "tools": request.tools,
    }
    return rebuild_body(request.api, **{**parts, **edits})


USER = {"role": "user", "content": "Hi"}
SYSTEM = {"role": "system", "content": "You are A."}
BLOCKS = [{"type": "text", "text": "You are A.", "cache_control": {"type": "ephemeral"}}]
BODIES: list[tuple[str, dict[str, Any]]] = [
    (CHAT, {"model": "m", "messages": [SYSTEM, USER], "tools": [], "stream": True}),
    (CHAT, {"model": "m", "messages": [USER], "tools": None, "n": 2}),
    (CHAT, {"model": "m", "messages": [{"role": "system", "content": ""}, USER]}),
    (CHAT, {"messages": None}),
    (CHAT, {}),
    (MESSAGES, {"system": "You are A.", "messages": [USER], "max_tokens": 5}),
    (MESSAGES, {"system": BLOCKS, "messages": [USER], "tools": [{"name": "f"}]}),
    (MESSAGES, {"system": "", "messages": [USER]}),
    (MESSAGES, {"system": None, "messages": [SYSTEM, USER]}),
    (MESSAGES, {"system": "You are A.", "messages": [SYSTEM, USER]}),
    (RESPONSES, {"input": "Hi", "instructions": "You are A."}),
    (RESPONSES, {"input": [{"role": "developer", "content": "D"}, USER], "instructions": "A"}),
    (RESPONSES, {"input": [{"role": "developer", "content": "D"}, USER]}),
    (RESPONSES, {"prompt": {"id": "pmpt_1"}, "include": []}),
    ("/api/generate", {"model": "llama3", "prompt": "Hi", "system": "S", "images": ["AA"]}),
    ("/api/chat", {"model": "llama3", "messages": [SYSTEM, USER]}),
    ("/v1/completions", {"prompt": ["a", "b"]}),
    ("/v1/embeddings", {"input": ["a"], "model": "e"}),
]


@pytest.mark.parametrize(("path", "body"), BODIES)
def test_an_unedited_request_rebuilds_exactly(path: str, body: dict[str, Any]) -> None:
    """Whatever keys are there, null, empty or absent, the same JSON comes out."""
    assert rebuilt(path, body) == body


@pytest.mark.parametrize(
    ("path", "body", "changed"),
    [
        (CHAT, {"messages": [SYSTEM, USER]}, {"messages": [{**SYSTEM, "content": "B"}, USER]}),
        (CHAT, {"messages": [USER]}, {"messages": [{**SYSTEM, "content": "B"}, USER]}),
        (
            CHAT,
            {"messages": [{"role": "developer", "content": "A"}, SYSTEM, USER]},
            {"messages": [{"role": "developer", "content": "B"}, USER]},
        ),
        (
            MESSAGES,
            {"system": BLOCKS, "messages": [USER]},
            {"system": "B", "messages": [USER]},
        ),
        (MESSAGES, {"system": "A", "messages": [USER]}, {"system": "B", "messages": [USER]}),
        (MESSAGES, {"messages": [USER]}, {"system": "B", "messages": [USER]}),
        (RESPONSES, {"input": "Hi"}, {"input": "Hi", "instructions": "B"}),
        (
            RESPONSES,
            {"input": [{"role": "developer", "content": "D"}, USER], "instructions": "A"},
            {"input": [{"role": "developer", "content": "D"}, USER], "instructions": "B"},
        ),
        (
            RESPONSES,
            {"input": [{"role": "developer", "content": "D"}, USER]},
            {"input": [{"role": "developer", "content": "B"}, USER]},
        ),
    ],
)
def test_an_edited_system_prompt_goes_where_the_old_one_was(
    path: str, body: dict[str, Any], changed: dict[str, Any]
) -> None:
    """The edit replaces the prompt in its native place and nothing else."""
    assert rebuilt(path, body, system="B") == changed


@pytest.mark.parametrize(
    ("path", "body"),
    [
        (CHAT, {"messages": [SYSTEM, USER]}),
        (MESSAGES, {"system": BLOCKS, "messages": [USER]}),
        (MESSAGES, {"system": "A", "messages": [USER]}),
    ],
)
def test_a_removed_system_prompt_is_gone(path: str, body: dict[str, Any]) -> None:
    """An emptied system prompt leaves neither field nor message behind."""
    assert rebuilt(path, body, system="") == {"messages": [USER]}


def test_edited_messages_and_tools_take_the_place_of_the_recorded() -> None:
    """Messages and tools given are the ones sent."""
    body = {"model": "m", "messages": [USER], "tools": [{"name": "f"}]}
    edited = rebuilt(MESSAGES, body, messages=[USER, USER], tools=[])
    assert edited == {"model": "m", "messages": [USER, USER], "tools": []}


@pytest.mark.parametrize(
    ("method", "path", "api"),
    [
        ("POST", "/v1/messages?beta=true", "messages"),
        ("POST", "/messages/", "messages"),
        ("POST", "/v1/v1/messages", "messages"),
        ("POST", "/v1/messages/count_tokens", "count_tokens"),
        ("POST", "/openai/deployments/x/chat/completions?api-version=1", "chat"),
        ("POST", "/api/v2/cortex/v1/chat/completions", "chat"),
        ("POST", "/completions", "completions"),
        ("POST", "/openai/v1/responses", "responses"),
        ("POST", "/v1/embeddings", "embeddings"),
        ("POST", "/api/chat", "ollama_chat"),
        ("POST", "/api/generate", "ollama_generate"),
        ("GET", "/v1/models", "models"),
        ("GET", "/v1/responses", None),
        ("HEAD", "/v1/messages", None),
        ("POST", "/v1/messages/batches", None),
        ("POST", "/v1/files", None),
        ("GET", "/", None),
    ],
)
def test_endpoints_are_known_by_the_end_of_their_path(
    method: str, path: str, api: str | None
) -> None:
    """Prefixes, doubled versions and queries do not matter; other endpoints are no calls."""
    request = read_request(exchange(path, {}, method=method))
    assert (request and request.api) == api


@pytest.mark.parametrize(
    ("upstream", "path", "headers", "provider"),
    [
        ("anthropic", MESSAGES, {}, "anthropic"),
        ("openai", CHAT, {}, "openai"),
        ("openai", "/openai/deployments/x/chat/completions", {}, "azure"),
        ("openai", "/openai/v1/responses", {"api-key": "[redacted]"}, "azure"),
        ("openai", "/v1beta/openai/chat/completions", {}, "google"),
        ("openai", CHAT, {"Host": "api.groq.com"}, "groq"),
        ("openai", CHAT, {"Host": "127.0.0.1:8001"}, "openai"),
        ("gemini", CHAT, {}, "google"),
        ("Groq", CHAT, {}, "groq"),
        ("openrouter", CHAT, {}, "openrouter"),
        ("mygateway", CHAT, {}, "mygateway"),
        ("openai", "/api/chat", {}, "ollama"),
        ("huggingface", "/together/v1/chat/completions", {}, "huggingface_together"),
        ("openai", CHAT, {UPSTREAM_URL: "https://api.groq.com/openai/v1"}, "groq"),
        ("fast", CHAT, {UPSTREAM_URL: "https://api.deepseek.com"}, "deepseek"),
        ("openai", CHAT, {UPSTREAM_URL: "https://x.openai.azure.com/openai/v1"}, "azure"),
        ("openai", CHAT, {UPSTREAM_URL: "https://gw.test/openai/deployments/g"}, "azure"),
        ("openai", CHAT, {UPSTREAM_URL: "http://localhost:11434/v1"}, "ollama"),
        ("openai", CHAT, {UPSTREAM_URL: "http://127.0.0.1:9000/v1"}, "openai"),
        ("anthropic", MESSAGES, {UPSTREAM_URL: "https://api.fox.ai"}, "anthropic"),
        ("anthropic", MESSAGES, {UPSTREAM_URL: "https://api.moonshot.ai/anthropic"}, "moonshotai"),
    ],
)
def test_the_provider_is_known_by_host_path_and_upstream(
    upstream: str, path: str, headers: dict[str, str], provider: str
) -> None:
    """The most telling of the three decides; a name nobody knows is kept as it is."""
    request = asked(path, {}, upstream=upstream, request_headers=tuple(headers.items()))
    assert request.provider == provider


def test_an_azure_deployment_stands_for_the_model() -> None:
    """Without a model in the body the deployment in the path is the model asked for."""
    assert asked("/openai/deployments/mine/chat/completions", {}).model == "mine"


def test_a_compressed_request_is_read() -> None:
    """A request body under a content encoding reads like a plain one."""
    body = gzip.compress(json.dumps({"model": "m", "messages": [USER]}).encode())
    headers = (("Content-Encoding", "gzip"),)
    assert asked(CHAT, body, request_headers=headers).model == "m"


@pytest.mark.parametrize("body", [b"", b"{", b"[1]", b"\xff\xfe", b"null", b'"x"'])
def test_a_body_that_is_no_object_is_still_a_call(body: bytes) -> None:
    """The call was made, so it is told, with nothing in it."""
    request = asked(CHAT, body)
    assert (request.model, request.messages, request.parameters) == (None, None, {})


def test_ollama_streams_unless_told_otherwise() -> None:
    """Ollama's native format streams by default, the others do not."""
    assert asked("/api/chat", {}).stream
    assert not asked("/api/chat", {"stream": False}).stream
    assert not asked(CHAT, {}).stream
