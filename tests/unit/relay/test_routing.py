"""Where requests go: one table of what clients send and what upstreams are asked."""

from __future__ import annotations

import pytest

from tracelake.errors import ConfigError
from tracelake.relay.routing import Own, Refusal, Route, Router, parse_backend

ROUTER = Router(
    {
        name: parse_backend(name, url)
        for name, url in {
            "anthropic": "https://api.anthropic.com",
            "openai": "https://api.openai.com/v1",
            "groq": "https://api.groq.com/openai/v1/",
            "azure": "https://x.openai.azure.com",
            "gateway": "https://gw.example/anthropic/v1",
            "ollama": "http://localhost:11434",
        }.items()
    }
)


def routed(target: str, *, looks_anthropic: bool = False) -> tuple[str, str]:
    """Name of the upstream and target asked of it."""
    route = ROUTER.route(target, looks_anthropic=looks_anthropic)
    assert isinstance(route, Route), route
    return route.backend.name, route.target


@pytest.mark.parametrize("prefix", ["", "/v1", "/v1/v1", "/r/run-1", "/r/run-1/v1", "/r/a/v1/v1"])
@pytest.mark.parametrize(
    ("endpoint", "upstream"),
    [
        ("/messages", "anthropic"),
        ("/messages?beta=true", "anthropic"),
        ("/messages/count_tokens", "anthropic"),
        ("/messages/batches", "anthropic"),
        ("/chat/completions", "openai"),
        ("/responses", "openai"),
        ("/responses/resp_1?stream=true", "openai"),
        ("/embeddings", "openai"),
        ("/models", "openai"),
        ("/files", "openai"),
        ("/threads/t1/messages", "openai"),
    ],
)
def test_endpoints_under_every_prefix(prefix: str, endpoint: str, upstream: str) -> None:
    """People set base URLs with and without /v1, or both; runs add a prefix: all arrive alike."""
    assert routed(prefix + endpoint) == (upstream, "/v1" + endpoint)


@pytest.mark.parametrize("prefix", ["", "/v1", "/r/x/v1"])
def test_headers_decide_where_the_path_does_not(prefix: str) -> None:
    """An endpoint that both providers have goes by the client's headers."""
    assert routed(prefix + "/models") == ("openai", "/v1/models")
    assert routed(prefix + "/models", looks_anthropic=True) == ("anthropic", "/v1/models")
    assert routed(prefix + "/chat/completions", looks_anthropic=True)[0] == "openai"


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ("/u/groq/chat/completions", ("groq", "/openai/v1/chat/completions")),
        ("/u/groq/v1/chat/completions", ("groq", "/openai/v1/chat/completions")),
        ("/r/x/u/groq/v1/responses", ("groq", "/openai/v1/responses")),
        ("/u/groq/r/x/v1/responses", ("groq", "/openai/v1/responses")),
        (
            "/u/azure/openai/deployments/d/chat/completions?api-version=1",
            ("azure", "/openai/deployments/d/chat/completions?api-version=1"),
        ),
        ("/u/gateway/v1/messages", ("gateway", "/anthropic/v1/messages")),
        ("/u/gateway/messages", ("gateway", "/anthropic/v1/messages")),
        ("/u/anthropic/v1/models", ("anthropic", "/models")),
        ("/api/chat", ("ollama", "/api/chat")),
        ("/api/generate", ("ollama", "/api/generate")),
        ("/r/x/api/tags", ("ollama", "/api/tags")),
        ("/u/ollama/api/chat", ("ollama", "/api/chat")),
        ("/u/ollama/v1/chat/completions", ("ollama", "/v1/chat/completions")),
        ("//v1/chat/completions", ("openai", "/v1/chat/completions")),
        ("/", ("openai", "/v1/")),
    ],
)
def test_named_upstreams_and_odd_paths(target: str, expected: tuple[str, str]) -> None:
    """Named upstreams are written as SDK base URLs; the client's path joins them."""
    if target == "/u/anthropic/v1/models":
        assert routed(target, looks_anthropic=True) == ("anthropic", "/v1/models")
    else:
        assert routed(target) == expected


def test_a_base_path_of_anthropic_outside_v1() -> None:
    """The probes of Anthropic's own programs are not pushed under /v1."""
    assert routed("/api/hello", looks_anthropic=True) == ("anthropic", "/api/hello")
    assert routed("/r/x", looks_anthropic=True) == ("anthropic", "/")
    assert routed("/r/x/", looks_anthropic=True) == ("anthropic", "/")


def test_run_id_and_path_are_told() -> None:
    """The route knows the run and the path as sent, without our own prefixes."""
    route = ROUTER.route("/t/tok/r/run-1/u/groq/v1/chat/completions?x=1")
    assert isinstance(route, Route)
    assert (route.run_id, route.token) == ("run-1", "tok")
    assert route.path == "/v1/chat/completions?x=1"


@pytest.mark.parametrize(
    ("target", "code"),
    [
        ("http://evil/v1/messages", "not_a_proxy"),
        ("*", "not_a_proxy"),
        ("", "not_a_proxy"),
        ("/r/a%20b/v1/messages", "bad_run_id"),
        ("/r//v1/messages", "bad_run_id"),
        (f"/r/{'x' * 201}/v1/messages", "bad_run_id"),
        ("/u/nobody/v1/messages", "unknown_upstream"),
        ("/v1/../admin", "bad_path"),
        ("/v1/%2e%2E/admin", "bad_path"),
        ("/u/groq/..%2f..%2fx", "bad_path"),
        ("/v1/./messages", "bad_path"),
    ],
)
def test_refusals(target: str, code: str) -> None:
    """What names a foreign target, climbs or is malformed goes nowhere."""
    refusal = ROUTER.route(target)
    assert isinstance(refusal, Refusal)
    assert refusal.code == code


def test_refusals_speak_the_clients_dialect() -> None:
    """A refusal is told in the shape of the provider whose endpoint was asked."""
    refused = ROUTER.route("/r/a%20b/v1/messages")
    assert isinstance(refused, Refusal)
    assert refused.dialect == "anthropic"


def test_ollama_without_an_upstream() -> None:
    """Ollama's own API needs an upstream of that name, and says so."""
    backends = {
        name: parse_backend(name, "http://127.0.0.1:1/v1") for name in ("anthropic", "openai")
    }
    refusal = Router(backends).route("/api/chat")
    assert isinstance(refusal, Refusal)
    assert "--upstream ollama=" in refusal.message


def test_own_paths() -> None:
    """Health and control are the relay's own, under no other prefix than the token's."""
    assert ROUTER.route("/health") == Own("/health")
    assert ROUTER.route("/t/x/health?verbose") == Own("/health", "x")
    assert ROUTER.route("/control/runs/a") == Own("/control/runs/a")
    assert isinstance(ROUTER.route("/r/x/health"), Route)


@pytest.mark.parametrize(
    ("name", "url"),
    [
        ("groq", "api.groq.com"),
        ("groq", "ftp://api.groq.com"),
        ("groq", "https://"),
        ("groq", "https://user:pw@api.groq.com"),
        ("groq", "https://api.groq.com/v1?x=1"),
        ("groq", "https://api.groq.com:99999/"),
        ("groq", "https://api.groq.com/a\r\nb"),
        ("a/b", "https://api.groq.com"),
        ("", "https://api.groq.com"),
    ],
)
def test_unusable_backends(name: str, url: str) -> None:
    """A backend that cannot be meant is one clear error at start."""
    with pytest.raises(ConfigError):
        parse_backend(name, url)
