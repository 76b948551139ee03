"""A call as code to paste elsewhere; keys are named, never written out."""

from __future__ import annotations

import json
import pprint
import shlex
from typing import TYPE_CHECKING

from tracelake.playground.provider import DEFAULT_BASE_URL, KEY_ENV, sdk_of

if TYPE_CHECKING:
    from tracelake.playground.draft import Draft

_PATHS = {"messages": "/v1/messages", "chat": "/chat/completions", "responses": "/responses"}
_CALLS = {
    "messages": "client.messages.create",
    "chat": "client.chat.completions.create",
    "responses": "client.responses.create",
}


def as_python(draft: Draft, *, base_url: str | None = None) -> str:
    """A script that makes the call with the provider's SDK and prints what comes back."""
    sdk = sdk_of(draft.api)
    name = "Anthropic" if sdk == "anthropic" else "OpenAI"
    argument = f"base_url={base_url!r}" if base_url else ""
    body = pprint.pformat(draft.body(), width=96, sort_dicts=False)
    after = "for event in answer:\n    print(event)" if draft.is_streamed else "print(answer)"
    return (
        f"from {sdk} import {name}\n\n"
        f"client = {name}({argument})  # takes the key from {KEY_ENV[sdk]}\n"
        f"body = {body}\n"
        f"answer = {_CALLS[draft.api]}(**body)\n"
        f"{after}\n"
    )


def as_curl(draft: Draft, *, base_url: str | None = None) -> str:
    """A shell command that makes the call."""
    sdk = sdk_of(draft.api)
    url = (base_url or DEFAULT_BASE_URL[sdk]).rstrip("/") + _PATHS[draft.api]
    headers = (
        [f'-H "x-api-key: ${KEY_ENV[sdk]}"', "-H 'anthropic-version: 2023-06-01'"]
        if sdk == "anthropic"
        else [f'-H "Authorization: Bearer ${KEY_ENV[sdk]}"']
    )
    body = shlex.quote(json.dumps(draft.body(), indent=2, ensure_ascii=False))
    unbuffered = " -N" if draft.is_streamed else ""
    lines = [
        f"curl{unbuffered} {shlex.quote(url)}",
        *headers,
        "-H 'content-type: application/json'",
        f"-d {body}",
    ]
    return " \\\n  ".join(lines)
