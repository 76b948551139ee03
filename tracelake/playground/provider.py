"""One call through the provider's own SDK, as a stream of bytes.

The SDK brings addressing, credentials and connection handling; the body is handed over as it is,
so that a recorded call is repeated to the letter. Nothing is retried: an error is shown as the
provider gave it, and trying again is the user's decision.
"""

from __future__ import annotations

import os
import socket
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tracelake.config import ANTHROPIC_BACKEND, OPENAI_BACKEND

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Iterator, Mapping

    from tracelake.model import Headers
    from tracelake.playground.draft import Draft

TIMEOUT_S = 600.0
_RAW = {"X-Stainless-Raw-Response": "stream"}
_PATHS = {"messages": "/v1/messages", "chat": "/chat/completions", "responses": "/responses"}
#: Response headers worth keeping: who answered, how it was limited, whether it was real.
_KEPT = ("request-id", "x-request-id", "retry-after", "content-type", "x-tracelake-offline")
#: Environment variable of the key, by the SDK that speaks the format.
KEY_ENV = {"anthropic": "ANTHROPIC_API_KEY", "openai": "OPENAI_API_KEY"}
#: Recorded request headers that change what a provider makes of a body.
MEANT_HEADERS = frozenset({"anthropic-beta", "anthropic-version", "openai-beta"})
DEFAULT_BASE_URL = {"anthropic": ANTHROPIC_BACKEND, "openai": OPENAI_BACKEND}


@dataclass(frozen=True, slots=True)
class Target:
    """Where a call goes.

    Attributes:
        name: Shown to the user, kept as `upstream`.
        base_url: As the SDK wants it; OpenAI's with `/v1`.
        api_key: Used for the call and for nothing else; never part of a repr.
        headers: Further request headers, such as the recorded `anthropic-beta`.
    """

    name: str
    base_url: str
    api_key: str = field(default="", repr=False)
    headers: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)


@dataclass(frozen=True, slots=True)
class Opened:
    """An answer that has begun.

    Attributes:
        status: HTTP status.
        headers: Response headers worth keeping.
        chunks: The body, decompressed, as it arrives.
        close: Hangs up; safe to call from another thread.
    """

    status: int
    headers: Headers
    chunks: Iterator[bytes]
    close: Callable[[], None]


class Unreachable(Exception):  # noqa: N818 - reads as a sentence at the raise site
    """No answer came: refused, unknown host, timeout, or a key that cannot be sent."""


def sdk_of(api: str) -> str:
    """The SDK that speaks a format: anthropic or openai."""
    return "anthropic" if api == "messages" else "openai"


def key_from_environment(api: str, environ: Mapping[str, str] | None = None) -> str:
    """The key that the environment holds for a format, empty when none."""
    return (os.environ if environ is None else environ).get(KEY_ENV[sdk_of(api)], "")


def headers_to_repeat(recorded: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Of recorded request headers those without which the same body means something else."""
    found: dict[str, str] = {}
    for name, value in recorded:
        key = name.lower()
        if key in MEANT_HEADERS:
            # a header given twice is one list
            found[key] = f"{found[key]},{value}" if key in found else value
    return found


@contextmanager
def open_client(draft: Draft, target: Target) -> Generator[Any]:
    """The SDK's client for a draft, ready to send: libraries loaded, nothing sent yet.

    Raises:
        Unreachable: The base URL or the key cannot be used; the message says why.
    """
    sdk = _sdk(draft.api)
    make: Any = sdk.Anthropic if sdk.__name__ == "anthropic" else sdk.OpenAI
    key = target.api_key or "none"
    if not key.isascii() or not key.isprintable():
        raise Unreachable("the key holds characters that no header can carry: paste it again")
    try:
        client = make(base_url=target.base_url, api_key=key, max_retries=0, timeout=TIMEOUT_S)
    except (sdk.APIError, ValueError, TypeError) as error:
        raise Unreachable(str(error)) from error
    with client:
        yield client


@contextmanager
def open_call(client: Any, draft: Draft, target: Target) -> Generator[Opened]:
    """Send a draft and hold its answer open.

    An answer with an error status is an answer too.

    Raises:
        Unreachable: No answer came; the message says why.
    """
    sdk = _sdk(draft.api)
    try:
        answer = client.post(
            _PATHS[draft.api],
            cast_to=object,
            body=draft.body(),
            options={"headers": {**target.headers, **_RAW}},
            stream=True,
            stream_cls=sdk.Stream[object],
        )
    except sdk.APIStatusError as error:
        body = error.response.read()
        yield Opened(error.status_code, _kept(error.response.headers), iter([body]), lambda: None)
        return
    except sdk.APIConnectionError as error:
        raise Unreachable(_reason(error, target)) from error
    try:
        yield Opened(
            answer.status_code,
            _kept(answer.headers),
            answer.iter_bytes(),
            lambda: _hang_up(answer.http_response),
        )
    finally:
        answer.close()


def _hang_up(response: Any) -> None:
    """Shut the connection down; closing alone would not wake a thread that waits for bytes."""
    stream = response.extensions.get("network_stream")
    connection = stream.get_extra_info("socket") if stream is not None else None
    if connection is not None:
        with suppress(OSError):
            connection.shutdown(socket.SHUT_RDWR)


def _sdk(api: str) -> Any:
    if sdk_of(api) == "anthropic":
        import anthropic

        return anthropic
    import openai

    return openai


def _kept(headers: Mapping[str, str]) -> Headers:
    return tuple((name, headers[name]) for name in _KEPT if name in headers)


def _reason(error: Exception, target: Target) -> str:
    cause = error.__cause__ or error
    return f"{target.base_url} does not answer: {str(cause) or type(cause).__name__}"
