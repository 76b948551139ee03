"""The small endpoints: models and embeddings."""

from __future__ import annotations

import base64
import hashlib
import math
from array import array
from typing import Any

from tracelake.demo.offline.chat import CREATED
from tracelake.demo.offline.conversation import estimate_tokens

MODELS = (
    "claude-sonnet-4-6",
    "claude-haiku-4-5",
    "claude-opus-4-6",
    "gpt-4o",
    "gpt-4o-mini",
    "text-embedding-3-small",
)


def list_models(*, is_anthropic: bool) -> dict[str, Any]:
    """The body of `GET /models`, in the form of either provider."""
    if is_anthropic:
        data = [
            {
                "type": "model",
                "id": name,
                "display_name": f"{name} (offline)",
                "created_at": "2025-01-01T00:00:00Z",
            }
            for name in MODELS
            if name.startswith("claude")
        ]
        return {
            "data": data,
            "has_more": False,
            "first_id": data[0]["id"],
            "last_id": data[-1]["id"],
        }
    listed = [
        {"id": name, "object": "model", "created": CREATED, "owned_by": "offline"}
        for name in MODELS
    ]
    return {"object": "list", "data": listed}


def write_embeddings(body: dict[str, Any]) -> dict[str, Any]:
    """The answer to a request for embeddings, as numbers or base64 as it asks."""
    given = body.get("input", "")
    is_many = isinstance(given, list) and not all(isinstance(item, int) for item in given)
    texts = given if is_many else [given]
    vectors = [embed(str(text), size=int(body.get("dimensions") or 64)) for text in texts]
    as_base64 = body.get("encoding_format") == "base64"
    tokens = sum(estimate_tokens(str(text)) for text in texts)
    return {
        "object": "list",
        "model": body.get("model"),
        "data": [
            {
                "object": "embedding",
                "index": index,
                "embedding": base64.b64encode(vector.tobytes()).decode()
                if as_base64
                else list(vector),
            }
            for index, vector in enumerate(vectors)
        ],
        "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
    }


def embed(text: str, *, size: int) -> array[float]:
    """A unit vector of 32-bit floats; texts with words in common lie close together."""
    vector = [0.0] * size
    for word in text.lower().split():
        digest = hashlib.sha256(word.encode()).digest()
        vector[int.from_bytes(digest[:4]) % size] += 1.0 if digest[4] % 2 else -1.0
    length = math.sqrt(sum(value * value for value in vector)) or 1.0
    return array("f", (value / length for value in vector))
