"""The recorded exchanges of the corpus, as tests need them."""

from __future__ import annotations

import gzip
import json
import os
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tracelake.model import Exchange

_BESIDE = Path(__file__).resolve().parents[3] / "shared" / "corpus"
CORPUS = Path(os.environ.get("TRACELAKE_CORPUS", _BESIDE))


@dataclass(frozen=True, slots=True)
class Cassette:
    """One recorded exchange and what its index says of it."""

    entry: dict[str, Any]
    recorded: dict[str, Any]

    @property
    def name(self) -> str:
        """File name without ending."""
        return self.entry["file"].removesuffix(".json")

    @property
    def request_json(self) -> Any:
        """The request body as JSON."""
        return json.loads(self.recorded["request"]["body"])

    def exchange(self, *, compress: bool = False) -> Exchange:
        """The exchange as the relay would have recorded it; `compress` gzips the response."""
        request, response = self.recorded["request"], self.recorded["response"]
        body = response["body"].encode()
        headers = [(k, v) for k, v in response["headers"].items() if k != "content-encoding"]
        if compress:
            body = gzip.compress(body)
            headers.append(("Content-Encoding", "gzip"))
        moment = datetime(2026, 11, 1, tzinfo=UTC)
        return Exchange(
            span_id=self.name,
            start_time=moment,
            first_byte_time=moment,
            end_time=moment,
            method=request["method"],
            path=request["path"],
            upstream=self.entry["provider"],
            request_headers=tuple(request["headers"].items()),
            request_body=request["body"].encode(),
            status=response["status"],
            response_headers=tuple(headers),
            response_body=body,
            outcome="ok",
        )


def load_cassettes() -> list[Cassette]:
    """Every cassette of the corpus in the order of its index; none when there is no corpus."""
    folder = CORPUS / "cassettes"
    index = folder / "index.json"
    if not index.is_file():
        return []
    return [
        Cassette(entry, json.loads((folder / entry["file"]).read_text()))
        for entry in json.loads(index.read_text())
    ]


CASSETTES = load_cassettes()

needs_corpus = pytest.mark.skipif(
    not CASSETTES, reason=f"no recorded exchanges: {CORPUS}/cassettes/index.json is absent"
)


def each_cassette() -> pytest.MarkDecorator:
    """Parametrise a test by `cassette`; one skip that says why when the corpus is absent."""
    if not CASSETTES:
        skip = pytest.mark.skip(reason=f"no recorded exchanges under {CORPUS}/cassettes")
        return pytest.mark.parametrize("cassette", [pytest.param(None, marks=skip)])
    return pytest.mark.parametrize("cassette", CASSETTES, ids=[c.name for c in CASSETTES])
