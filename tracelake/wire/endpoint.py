"""Which wire format and which provider a path, host and upstream stand for.

Endpoints are recognised by the end of their path, since gateways and Azure put anything before it.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from tracelake.model import UPSTREAM_URL

if TYPE_CHECKING:
    from tracelake.model import Exchange
    from tracelake.wire.call import Api

#: Method, end of the path, format; the first that fits decides.
_ENDPOINTS: tuple[tuple[str, str, Api], ...] = (
    ("POST", "/messages/count_tokens", "count_tokens"),
    ("POST", "/messages", "messages"),
    ("POST", "/chat/completions", "chat"),
    ("POST", "/completions", "completions"),
    ("POST", "/responses", "responses"),
    ("POST", "/responses/compact", "responses"),
    ("POST", "/embeddings", "embeddings"),
    ("POST", "/api/chat", "ollama_chat"),
    ("POST", "/api/generate", "ollama_generate"),
    ("POST", "/api/embed", "embeddings"),
    ("GET", "/models", "models"),
    ("GET", "/api/tags", "models"),
)

#: Paths in which clouds serve Anthropic's format; the model stands in the path (Vertex, Bedrock).
_ANTHROPIC_PATH = re.compile(
    r"/publishers/anthropic/models/(?P<vertex>[^/:]+):(?:streamRawPredict|rawPredict)\Z"
    r"|/model/(?P<bedrock>[^/]*anthropic[^/]*)/invoke(?:-with-response-stream)?\Z"
)

#: Part of a host name, and the provider as prices know it.
_HOSTS: tuple[tuple[str, str], ...] = (
    ("anthropic.com", "anthropic"),
    ("openai.azure.com", "azure"),
    ("azure-api.net", "azure"),
    ("cognitiveservices.azure.com", "azure"),
    ("services.ai.azure.com", "azure"),
    ("openai.com", "openai"),
    ("groq.com", "groq"),
    ("openrouter.ai", "openrouter"),
    ("mistral.ai", "mistral"),
    ("deepseek.com", "deepseek"),
    ("googleapis.com", "google"),
    ("ollama.com", "ollama"),
    ("together.xyz", "together"),
    ("together.ai", "together"),
    ("fireworks.ai", "fireworks"),
    ("cerebras.ai", "cerebras"),
    ("x.ai", "x-ai"),
    ("z.ai", "zai"),
    ("bigmodel.cn", "zhipuai"),
    ("moonshot.", "moonshotai"),
    ("perplexity.ai", "perplexity"),
    ("cohere.", "cohere"),
    ("amazonaws.com", "aws"),
    ("voyageai.com", "voyageai"),
    ("huggingface.co", "huggingface"),
    ("novita.ai", "novita"),
    ("minimax", "minimax"),
    ("githubcopilot.com", "github-copilot"),
    ("databricks", "databricks"),
    ("cloudflare.com", "cloudflare"),
    ("baseten.co", "baseten"),
    ("snowflakecomputing.com", "snowflake"),
    ("sambanova.ai", "sambanova"),
    ("deepinfra.com", "deepinfra"),
    ("nvidia.com", "nvidia"),
    ("aliyuncs.com", "alibaba"),
    (":11434", "ollama"),
)

#: Names that people give an upstream, and the provider as prices know it.
_ALIASES: dict[str, str] = {
    "azure-openai": "azure",
    "azure_openai": "azure",
    "bedrock": "aws",
    "claude": "anthropic",
    "gemini": "google",
    "vertex": "google",
    "vertexai": "google",
    "grok": "x-ai",
    "xai": "x-ai",
    "glm": "zai",
    "z.ai": "zai",
    "kimi": "moonshotai",
    "moonshot": "moonshotai",
    "mistralai": "mistral",
    "togetherai": "together",
    "together-ai": "together",
    "hf": "huggingface",
    "fireworks-ai": "fireworks",
}

#: Paths that only one provider has; they say more than the name of a default upstream.
_PATHS: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"/openai/deployments/"), "azure"),
    (re.compile(r"/v1(beta)?/openai/"), "google"),
    (re.compile(r"/api/paas/v\d"), "zai"),
    (re.compile(r"/api/v2/cortex/"), "snowflake"),
    (re.compile(r"/api/(chat|generate|embed|embeddings|tags)\Z"), "ollama"),
    (re.compile(r"/projects/[^/]+/locations/"), "google"),
    (re.compile(r"/model/[^/]+/invoke"), "aws"),
)


def api_of(method: str, path: str) -> Api | None:
    """The wire format of an endpoint, or None when it is no call that is read here."""
    plain = _plain(path)
    if "/threads/" in plain:
        return None
    if method.upper() == "POST" and _ANTHROPIC_PATH.search(plain):
        return "messages"
    for expected, end, api in _ENDPOINTS:
        if method.upper() == expected and plain.endswith(end):
            return api
    return None


def streams_by_path(path: str) -> bool:
    """Whether a path asks for a stream, as Vertex and Bedrock have it."""
    return _plain(path).endswith((":streamRawPredict", "/invoke-with-response-stream"))


def model_in(path: str) -> str | None:
    """The model or deployment that a path names."""
    plain = _plain(path)
    if found := _ANTHROPIC_PATH.search(plain):
        return unquote(found["vertex"] or found["bedrock"])
    _, _, rest = plain.partition("/deployments/")
    return rest.partition("/")[0] or None


def provider_of(exchange: Exchange) -> str:
    """The provider that an exchange went to, as prices know it; else the upstream's own name."""
    host = (exchange.header("host") or "").lower()
    upstream = exchange.upstream.strip().lower()
    behind = urlsplit((exchange.header(UPSTREAM_URL) or "").lower())
    plain = behind.path.rstrip("/") + _plain(exchange.path)
    for name in (behind.netloc, host, upstream):
        if provider := _provider_at(name):
            return _routed(provider, _plain(exchange.path))
    if upstream in {"", "openai", "anthropic"}:
        for pattern, provider in _PATHS:
            if pattern.search(plain):
                return provider
        if exchange.header("api-key") is not None and "/openai/" in plain:
            return "azure"
    if upstream:
        return _routed(_ALIASES.get(upstream, upstream), plain)
    return "anthropic" if exchange.header("anthropic-version") is not None else "openai"


def _provider_at(name: str) -> str | None:
    """The provider whose host a name is, or a part of whose host; a domain is matched whole."""
    for part, provider in _HOSTS:
        at = name.find(part)
        if at >= 0 and (at == 0 or "." not in part or name[at - 1] in ".-"):
            return provider
    return None


def _routed(provider: str, path: str) -> str:
    """The provider behind a router that names it at the head of the path."""
    head = path.split("/")[1]
    if provider != "huggingface" or head in {"v1", "chat", "embeddings", "models", ""}:
        return provider
    return f"huggingface_{head}"


def _plain(path: str) -> str:
    """The path without query and trailing slash, with a leading one."""
    return "/" + path.partition("?")[0].strip("/")
