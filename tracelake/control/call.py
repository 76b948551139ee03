"""What passes between the control proxy and whoever decides on its calls."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Protocol

from tracelake.wire.endpoint import api_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tracelake.model import Exchange
    from tracelake.relay.routing import Dialect

#: Response headers of ours: the relay records them and keeps them from the client.
MATCH_HEADER = "x-tracelake-match"
ORIGINAL_HEADER = "x-tracelake-original-span"
FORKED_HEADER = "x-tracelake-forked-from"

Headers = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Call:
    """One call that a relay handed over.

    Attributes:
        exchange: Request side; `span_id` and `run_id` as the relay gave them, headers as the
            client sent them, credentials included: it must never be written to disk.
        upstream_url: Where the relay would have sent it.
    """

    exchange: Exchange
    upstream_url: str

    @property
    def dialect(self) -> Dialect:
        """Whose error shape the client understands."""
        api = api_of(self.exchange.method, self.exchange.path)
        if api in {"messages", "count_tokens"}:
            return "anthropic"
        if api is not None and api.startswith("ollama"):
            return "ollama"
        return "anthropic" if self.exchange.header("anthropic-version") else "openai"


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer given here.

    Attributes:
        body: All of it, or pieces to be sent as they come.
        is_cut: The connection is broken off after the body, as it was in the recording.
    """

    status: int
    headers: Headers
    body: bytes | AsyncIterator[bytes] = b""
    is_cut: bool = False


@dataclass(frozen=True, slots=True)
class Forward:
    """The call goes to its upstream, and its answer comes back as it is.

    Attributes:
        body: What to send instead of the client's body, without content encoding; None for that.
        url: Where to send it instead of the call's own upstream.
        headers: Added to the response.
    """

    body: bytes | None = None
    url: str | None = None
    headers: Headers = field(default_factory=tuple)

    def with_headers(self, *headers: tuple[str, str]) -> Forward:
        """The same, with further response headers."""
        return replace(self, headers=(*self.headers, *headers))


Reply = Answer | Forward


class Handler(Protocol):
    """Decides on the calls of one run."""

    async def handle(self, call: Call) -> Reply:
        """Decide; may take its time, and is cancelled when the client hangs up.

        Raises:
            NoRecordedMatch: The call is refused with this message.
        """
        ...

    def over(self, call: Call, *, status: int | None) -> None:
        """The call is over: all of its answer was sent, or (`status` None) it broke off."""
        ...
