"""Where a request goes: from the target a client sent to a configured upstream.

Invariants:
- Only configured upstreams are ever reached: nothing a client sends names a host.
- What a client sent reaches the upstream under the base URL its SDK would have used: the client's
  own leading `/v1`s are dropped and the rest is joined to the backend.
- Pure: no I/O, no state but a bounded cache.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal
from urllib.parse import unquote, urlsplit

from tracelake.config import ANTHROPIC_BACKEND, OPENAI_BACKEND
from tracelake.errors import ConfigError
from tracelake.model import is_valid_id

if TYPE_CHECKING:
    from collections.abc import Mapping

Dialect = Literal["anthropic", "openai", "ollama"]

#: First path segments of Anthropic's API, all under `/v1` (other paths, such as `/api/hello` of
#: Claude Code, are not).
_ANTHROPIC_ROOTS = frozenset(
    {"messages", "complete", "models", "files", "skills", "organizations", "agents", "sessions"}
)
_OPENAI_SUFFIXES = ("/chat/completions", "/completions", "/responses", "/embeddings")
_OLLAMA_PATHS = frozenset({"/api/chat", "/api/generate"})
_VERSIONED = re.compile(r"/v\d[^/]*\Z")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}\Z")
_CACHE_MAX = 1024
_USUAL_HOSTS = {
    "anthropic": urlsplit(ANTHROPIC_BACKEND).hostname,
    "openai": urlsplit(OPENAI_BACKEND).hostname,
}


@dataclass(frozen=True, slots=True)
class Backend:
    """One configured upstream.

    Attributes:
        name: `anthropic`, `openai` or the configured name.
        base_path: Path of the base URL, without a slash at its end.
        host_header: What to send as `Host`.
    """

    name: str
    scheme: Literal["http", "https"]
    host: str
    port: int
    base_path: str
    host_header: str

    @property
    def url(self) -> str:
        """The base URL."""
        return f"{self.scheme}://{self.host_header}{self.base_path}"

    @property
    def is_usual(self) -> bool:
        """Whether it is the API that its name says."""
        return self.host == _USUAL_HOSTS.get(self.name)


def parse_backend(name: str, url: str) -> Backend:
    """The backend that a base URL names.

    Raises:
        ConfigError: The name or URL is not usable.
    """
    if not _NAME.match(name):
        raise ConfigError(f"upstream name {name!r} must be letters, digits and ._- (at most 64)")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise ConfigError(f"upstream {name}: {url!r} is not a URL: {error}") from error
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ConfigError(f"upstream {name}: {url!r} must look like https://host[:port][/path]")
    if parts.username or parts.password or parts.query or parts.fragment:
        raise ConfigError(f"upstream {name}: the URL must not hold credentials, query or fragment")
    if not url.isprintable() or " " in url:
        raise ConfigError(f"upstream {name}: the URL must not hold spaces or control characters")
    scheme: Literal["http", "https"] = "https" if parts.scheme == "https" else "http"
    default_port = 443 if scheme == "https" else 80
    return Backend(
        name, scheme, parts.hostname, port or default_port, parts.path.rstrip("/"), parts.netloc
    )


@dataclass(frozen=True, slots=True)
class Route:
    """Where a call goes.

    Attributes:
        dialect: Whose error shape the client understands.
        target: Path and query to ask the backend for.
        path: Path and query as the client sent them, without our own prefixes.
    """

    backend: Backend
    dialect: Dialect
    target: str
    path: str
    run_id: str | None = None
    token: str | None = None


@dataclass(frozen=True, slots=True)
class Own:
    """A path that the relay answers itself: `/health` and `/control/…`."""

    path: str
    token: str | None = None


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a request is not forwarded."""

    status: int
    code: str
    message: str
    dialect: Dialect = "openai"


class Router:
    """Finds the route of a request among the configured backends."""

    def __init__(self, backends: Mapping[str, Backend]) -> None:
        self._backends = dict(backends)
        self._cache: dict[tuple[str, bool], Route] = {}

    def route(self, target: str, *, looks_anthropic: bool = False) -> Route | Own | Refusal:
        """Decide on one request.

        Args:
            target: Request target as the client sent it.
            looks_anthropic: Whether headers say that the client speaks to Anthropic; decides only
                where the path does not.
        """
        key = (target, looks_anthropic)
        found = self._cache.get(key)
        if found is not None:
            return found
        decision = self._decide(target, looks_anthropic=looks_anthropic)
        if isinstance(decision, Route):
            if len(self._cache) >= _CACHE_MAX:
                self._cache.clear()
            self._cache[key] = decision
        return decision

    def _decide(self, target: str, *, looks_anthropic: bool) -> Route | Own | Refusal:
        if not target.startswith("/"):
            return Refusal(
                400,
                "not_a_proxy",
                "this relay forwards only to its configured upstreams: "
                "use it as a base URL, not as an HTTP proxy",
            )
        path, mark, query = target.partition("?")
        path = "/" + path.lstrip("/")
        if _has_dot_segment(path):
            return Refusal(400, "bad_path", "the path must not hold . or .. segments")
        prefixes, rest = _split_prefixes(path)
        token, run_id, name = prefixes.get("t"), prefixes.get("r"), prefixes.get("u")
        if run_id is None and name is None and (rest == "/health" or rest.startswith("/control/")):
            return Own(rest, token)
        dialect = _dialect(rest, looks_anthropic=looks_anthropic)
        if run_id is not None and not is_valid_id(run_id):
            return Refusal(
                400,
                "bad_run_id",
                "the run id in the path must be letters, digits and ._:- (at most 200)",
                dialect,
            )
        if name is None and dialect == "ollama" and "ollama" not in self._backends:
            if _strip_versions(rest)[0] in _OLLAMA_PATHS:
                return Refusal(
                    404,
                    "unknown_upstream",
                    "no upstream named ollama is configured: add --upstream ollama=URL",
                    "ollama",
                )
            dialect = "anthropic" if looks_anthropic else "openai"
        backend = self._backends.get(name if name is not None else dialect)
        if backend is None:
            known = ", ".join(sorted(self._backends))
            return Refusal(
                404,
                "unknown_upstream",
                f"no upstream named {name or dialect!r} is configured (known: {known})",
                dialect,
            )
        joined = join(backend, rest, dialect) + mark + query
        return Route(backend, dialect, joined, rest + mark + query, run_id, token)


def join(backend: Backend, path: str, dialect: Dialect) -> str:
    """The path to ask a backend for, given the path that a client sent.

    Args:
        backend: Whose base URL to join to.
        path: Without query and without our own prefixes.
        dialect: Whose API the path belongs to.
    """
    rest, had_version = _strip_versions(path)
    base = backend.base_path
    if dialect == "ollama":
        base = base.removesuffix("/v1")
    elif dialect == "anthropic":
        base = base.removesuffix("/v1")
        if had_version or rest[1:].partition("/")[0] in _ANTHROPIC_ROOTS:
            base += "/v1"
    elif backend.name == "ollama" and not _VERSIONED.search(base):
        base += "/v1"  # Ollama's OpenAI-compatible API; its URL is usually given without
    return base + rest or "/"


def _dialect(path: str, *, looks_anthropic: bool) -> Dialect:
    rest, _ = _strip_versions(path)
    if rest.startswith("/api/") and not looks_anthropic and not rest.endswith("/hello"):
        return "ollama"
    if rest == "/messages" or rest.startswith("/messages/"):
        return "anthropic"
    if rest.endswith(("/messages", "/count_tokens")) and "/threads/" not in rest:
        return "anthropic"
    if rest.endswith(_OPENAI_SUFFIXES):
        return "openai"
    return "anthropic" if looks_anthropic else "openai"


def _strip_versions(path: str) -> tuple[str, bool]:
    """The path without its leading `/v1`s, and whether there were any."""
    rest = path
    while rest == "/v1" or rest.startswith("/v1/"):
        rest = rest[3:]
    return rest, rest != path


def _split_prefixes(path: str) -> tuple[dict[str, str], str]:
    """Our own prefixes (`/t/<token>`, `/r/<run-id>`, `/u/<name>`, each once), and the rest."""
    found: dict[str, str] = {}
    while path[:3] in ("/t/", "/r/", "/u/") and path[1] not in found:
        kind = path[1]
        value, slash, rest = path[3:].partition("/")
        found[kind] = unquote(value)
        path = slash + rest
    return found, path or "/"


def _has_dot_segment(path: str) -> bool:
    if "/." not in path and "%" not in path:
        return False
    return any(part in (".", "..") for part in re.split(r"[/\\]", unquote(unquote(path))))
