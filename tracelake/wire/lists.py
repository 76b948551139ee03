"""Answers that are no conversation: embeddings, token counts, lists of models."""

from __future__ import annotations

import base64
from typing import Any

from tracelake.wire.answer import Answer
from tracelake.wire.call import Usage
from tracelake.wire.failure import failure_of
from tracelake.wire.lenient import (
    JsonObject,
    amount,
    array,
    count,
    mapping,
    name_or_none,
    objects,
)


def read_embeddings(answer: JsonObject) -> Answer:
    """Embeddings of the OpenAI or the Ollama kind; only their number and length are kept."""
    vectors = [item.get("embedding") for item in objects(answer.get("data"))]
    vectors = vectors or array(answer.get("embeddings"))
    vectors = vectors or [vector for vector in [answer.get("embedding")] if vector]
    usage = mapping(answer.get("usage"))
    asked = (usage.get(key) for key in ("prompt_tokens", "input_tokens", "total_tokens"))
    counts = (*asked, answer.get("prompt_eval_count"))
    error = answer.get("error")
    return Answer(
        model=name_or_none(answer.get("model")),
        blocks=[
            {"type": "embedding", "index": index, "dimensions": _dimensions(vector)}
            for index, vector in enumerate(vectors)
        ],
        response_id=name_or_none(answer.get("id")),
        usage=Usage(input=next((n for c in counts if (n := count(c)) is not None), None)),
        reported_cost_usd=amount(usage.get("cost")),
        failure=failure_of(error) if error else None,
    )


def read_token_count(answer: JsonObject) -> Answer:
    """A count of tokens; nothing was generated, so no usage is claimed."""
    error = answer.get("error")
    number = count(answer.get("input_tokens"))
    return Answer(
        text="" if number is None else f"{number} input tokens",
        blocks=[{"type": "token_count", **answer}] if number is not None else [],
        failure=failure_of(error) if error else None,
    )


def read_models(answer: JsonObject) -> Answer:
    """A list of models, as the provider gave it."""
    error = answer.get("error")
    return Answer(
        blocks=list(objects(answer.get("data")) or objects(answer.get("models"))),
        failure=failure_of(error) if error else None,
    )


def _dimensions(vector: Any) -> int | None:
    """Length of an embedding, sent as numbers or as base64 of 32-bit floats."""
    if isinstance(vector, list):
        return len(array(vector))
    if not isinstance(vector, str):
        return None
    try:
        return len(base64.b64decode(vector)) // 4
    except ValueError:  # also of text that is not ASCII
        return None
