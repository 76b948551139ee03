"""What never reaches the disk."""

from __future__ import annotations

import zlib

import pytest
import zstandard

from tracelake.errors import ConfigError
from tracelake.redaction import parse_patterns
from tracelake.relay.redact import (
    Redaction,
    credentials,
    decode,
    is_secret_header,
    redact_query,
)


@pytest.mark.parametrize(
    "name",
    [
        "Authorization",
        "X-API-Key",
        "api-key",
        "Cookie",
        "Set-Cookie",
        "x-goog-api-key",
        "Proxy-Authorization",
        "X-Gateway-Token",
        "helicone-auth",
        "x-amz-security-token",
    ],
)
def test_credential_headers(name: str) -> None:
    """Headers that carry a credential, by name or by the way such names are made."""
    assert is_secret_header(name)


@pytest.mark.parametrize(
    "name", ["x-ratelimit-limit-tokens", "anthropic-ratelimit-tokens-remaining", "x-trace-id"]
)
def test_headers_that_only_sound_like_credentials(name: str) -> None:
    """Rate limits speak of tokens too and are kept."""
    assert not is_secret_header(name)


@pytest.mark.parametrize(
    ("path", "kept"),
    [
        ("/v1/x", "/v1/x"),
        ("/v1/x?key=abc", "/v1/x?key=[redacted]"),
        ("/v1/x?a=1&api_key=abc&b=2", "/v1/x?a=1&api_key=[redacted]&b=2"),
        ("/v1/x?X-Amz-Signature=abc;token=d", "/v1/x?X-Amz-Signature=[redacted];token=[redacted]"),
        ("/v1/x?max_tokens=5&beta=true", "/v1/x?max_tokens=5&beta=true"),
    ],
)
def test_credentials_in_query_strings(path: str, kept: str) -> None:
    """Values of credential parameters are replaced, everything else stays."""
    assert redact_query(path) == kept


def test_credentials_are_known_for_error_texts() -> None:
    """The bare key behind a scheme is looked for in error texts, short values are not."""
    headers = [("Authorization", "Bearer sk-12345678"), ("x-api-key", "k"), ("x-a", "long enough")]
    assert credentials(headers) == (b"sk-12345678",)


def test_patterns_across_windows() -> None:
    """A match is found wherever it stands in a body of several windows."""
    redaction = Redaction(parse_patterns("secret-[0-9]+"))
    for at in (0, (1 << 20) - 5, 1 << 20, 3_000_000):
        body = b"x" * at + b"secret-77" + b"x" * 1_000_000
        clean, _ = redaction.body(body)
        assert clean == b"x" * at + b"[redacted]" + b"x" * 1_000_000


def test_compressed_bodies() -> None:
    """A compressed body is kept as sent unless something in it has to go."""
    redaction = Redaction(parse_patterns("secret"))
    for encoding, packed in (
        ("zstd", zstandard.compress(b"a secret")),
        ("deflate", zlib.compress(b"a secret")),
    ):
        assert redaction.body(packed, encoding=encoding) == (b"a [redacted]", True)
    harmless = zlib.compress(b"nothing")
    assert redaction.body(harmless, encoding="deflate") == (harmless, False)
    assert redaction.body(b"\0\1", encoding="gzip") == (b"[redacted]", True)
    assert Redaction().body(b"\0\1", encoding="gzip") == (b"\0\1", False)


def test_partial_compressed_bodies_decode_as_far_as_they_came() -> None:
    """The start of a broken-off compressed answer is readable."""
    packed = zlib.compress(bytes(range(256)) * 50, 0)
    assert (decode(packed[:500], "deflate") or b"").startswith(bytes(range(200)))


def test_a_bad_pattern_is_one_clear_error() -> None:
    """A pattern that is no regular expression stops the start, not the recording."""
    with pytest.raises(ConfigError, match="TRACELAKE_REDACT"):
        parse_patterns("(")
