"""Where a playground test can be sent from this machine."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from app import service
from tracelake.errors import LakeError
from tracelake.playground.provider import (
    DEFAULT_BASE_URL,
    KEY_ENV,
    Target,
    key_from_environment,
    sdk_of,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

OFFLINE = "offline"
OTHER = "other"


@dataclass(frozen=True, slots=True)
class Choice:
    """One place to send a test to.

    Attributes:
        name: `offline`, `other`, or the name of the upstream.
        label: Shown to the user.
        base_url: Empty where it is only known once chosen.
        needs_key: Whether it answers without a key.
    """

    name: str
    label: str
    base_url: str
    needs_key: bool


def choices(api: str, span: Mapping[str, Any] | None) -> list[Choice]:
    """Where a call of a format can go, the likeliest first.

    Args:
        api: Wire format of the draft.
        span: The recorded span, which tells the upstream it went to and whether offline.
    """
    sdk = sdk_of(api)
    found = [Choice(sdk, f"{_TITLES[sdk]} · {DEFAULT_BASE_URL[sdk]}", DEFAULT_BASE_URL[sdk], True)]
    offline = Choice(OFFLINE, "Offline · scripted, no key", "", False)
    for name, url in _upstreams().items():
        if url != DEFAULT_BASE_URL[sdk] and (name not in _TITLES or name == sdk):
            found.append(Choice(name, f"Upstream {name} · {url}", url, True))
    found += [offline, Choice(OTHER, "Other base URL…", "", True)]
    attributes: dict[str, Any] = (span or {}).get("attributes") or {}
    recorded: str | None = OFFLINE if _was_offline(span or {}) else attributes.get("upstream")
    has_key = bool(key_from_environment(api))
    if recorded is None and not has_key:
        recorded = OFFLINE
    return sorted(found, key=lambda choice: choice.name != recorded)


def target(choice: Choice, api: str, *, base_url: str = "", api_key: str = "") -> Target:
    """The target that a choice names.

    Args:
        choice: One of `choices`.
        api: Wire format of the draft.
        base_url: For the choice `other`.
        api_key: Typed for this session. Where it is empty the environment's is used, but for the
            provider's own address only: a key must not travel to a host it is not for.

    Raises:
        TraceLakeError: The offline provider did not start.
    """
    if choice.name == OFFLINE:
        provider = service.offline_provider()
        url = provider.anthropic_base_url if api == "messages" else provider.openai_base_url
        return Target(OFFLINE, url, "offline")
    url = choice.base_url or base_url.strip()
    own = url == DEFAULT_BASE_URL[sdk_of(api)]
    return Target(choice.name, url, api_key.strip() or (key_from_environment(api) if own else ""))


def key_hint(choice: Choice, api: str) -> str:
    """What to tell beside the field for the key."""
    if choice.base_url != DEFAULT_BASE_URL[sdk_of(api)]:
        return "leave empty where none is needed"
    name = KEY_ENV[sdk_of(api)]
    return f"taken from {name}" if key_from_environment(api) else f"or set {name}"


def _was_offline(span: Mapping[str, Any]) -> bool:
    note = str(span.get("cost_note") or "")
    return bool((span.get("attributes") or {}).get("offline")) or "offline provider" in note


def _upstreams() -> dict[str, str]:
    try:
        health = service.collector_health()
    except LakeError:
        return {}
    return {name: state["url"] for name, state in (health or {}).get("upstreams", {}).items()}


_TITLES = {"anthropic": "Anthropic", "openai": "OpenAI"}
