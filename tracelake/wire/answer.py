"""What the reader of each format hands over: an answer before prices and atoms."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from tracelake.wire.call import Usage

if TYPE_CHECKING:
    from tracelake.wire.lenient import JsonObject


@dataclass(frozen=True, slots=True)
class Failure:
    """What went wrong, as the provider put it."""

    kind: str
    message: str


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer as one format tells it.

    Attributes:
        units: Further billed units by their name in the price list: cache writes by lifetime,
            audio tokens, web searches.
        tier: Service tier that answered, where prices depend on it.
        reported_cost_usd: What the provider itself says the call cost.
        reasoning_is_apart: Reasoning tokens are billed beside the output tokens, not within them.
        complete: The answer came to its end; False for a stream that broke off.
    """

    model: str | None = None
    text: str = ""
    blocks: list[Any] = field(default_factory=list[Any])
    finish_reason: str | None = None
    response_id: str | None = None
    usage: Usage = field(default_factory=Usage)
    units: dict[str, int] = field(default_factory=dict[str, int])
    tier: str | None = None
    reported_cost_usd: float | None = None
    reasoning_is_apart: bool = False
    failure: Failure | None = None
    complete: bool = True


class Stream(Protocol):
    """Puts the events of a stream together again."""

    def feed(self, event: JsonObject) -> None:
        """Take in one event."""
        ...

    def whole(self) -> JsonObject:
        """What the provider would have answered without streaming, as far as it came."""
        ...
