"""Ollama's native format: lines of JSON put together, the answer read.

Source: https://github.com/ollama/ollama/blob/main/docs/api.md. Every line is an object of its own;
the last has `done: true` and the token counts.
"""

from __future__ import annotations

from typing import Any

from tracelake.wire.answer import Answer
from tracelake.wire.call import Usage
from tracelake.wire.failure import failure_of
from tracelake.wire.lenient import (
    JsonObject,
    array,
    count,
    mapping,
    name_or_none,
    string,
)

#: Text fields of `/api/chat` messages and of `/api/generate` lines.
_APPENDED = ("content", "thinking", "response")


class OllamaStream:
    """Puts the lines of one streamed answer together."""

    def __init__(self) -> None:
        self._last: JsonObject = {}
        self._message: JsonObject = {}
        self._texts: dict[str, str] = {}
        self._error: Any = None

    def feed(self, event: JsonObject) -> None:
        """Take in one line."""
        if error := event.get("error"):
            self._error = error
        self._last |= {key: value for key, value in event.items() if key != "message"}
        for key in ("response", "thinking"):
            if isinstance(event.get(key), str):
                self._texts[key] = self._texts.get(key, "") + event[key]
        for key, value in mapping(event.get("message")).items():
            if key in _APPENDED and isinstance(value, str):
                self._message[key] = string(self._message.get(key)) + value
            elif isinstance(value, list):
                self._message[key] = [*array(self._message.get(key)), *array(value)]
            elif value is not None:
                self._message[key] = value

    def whole(self) -> JsonObject:
        """The answer as far as it came."""
        whole = {**self._last, **self._texts}
        if self._message:
            whole["message"] = self._message
        if self._error is not None:
            whole["error"] = self._error
        if not whole.get("done"):
            whole["_incomplete"] = True
        return whole


def read_answer(answer: JsonObject) -> Answer:
    """The answer of `/api/chat` or `/api/generate`, whole or partial."""
    message = mapping(answer.get("message"))
    if not message and "response" in answer:
        message = {"role": "assistant", "content": string(answer.get("response"))}
        if answer.get("thinking"):
            message["thinking"] = answer["thinking"]
    error = answer.get("error")
    return Answer(
        model=name_or_none(answer.get("model")),
        text=string(message.get("content")),
        blocks=[message] if message else [],
        finish_reason=name_or_none(answer.get("done_reason")),
        usage=Usage(
            input=count(answer.get("prompt_eval_count")), output=count(answer.get("eval_count"))
        ),
        failure=failure_of(error) if error else None,
        complete=not answer.get("_incomplete"),
    )
