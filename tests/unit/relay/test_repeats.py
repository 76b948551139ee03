"""Heads that repeat on a connection."""

from __future__ import annotations

import pytest

from tracelake.relay.heads import read_head
from tracelake.relay.repeats import RepeatedHead, repeated
from tracelake.relay.routing import Route, parse_backend
from tracelake.relay.upstream import Pool

BACKEND = parse_backend("openai", "http://up/v1")
ROUTE = Route(BACKEND, "openai", "/v1/x", "/x")
HEAD = b"POST /x HTTP/1.1\r\nHost: relay\r\nContent-Length: 12\r\nConnection: keep-alive\r\nA: 12"


def known(raw: bytes) -> RepeatedHead | None:
    """What is to be known of a head."""
    head = read_head(raw)
    return repeated(head, head.render("/v1/x", host="up"), ROUTE, Pool(BACKEND, None))


def test_a_head_that_repeats_is_sent_as_if_it_were_read() -> None:
    """Whatever the length is, the head sent is the one that reading would have given."""
    found = known(HEAD)
    assert found is not None
    for digits in (b"0", b"7", b"123456"):
        again = HEAD.replace(b"Length: 12", b"Length: " + digits)
        assert found.digits(again) == digits
        assert found.render(digits) == read_head(again).render("/v1/x", host="up")


@pytest.mark.parametrize(
    "other",
    [
        HEAD.replace(b"A: 12", b"A: 13"),
        HEAD.replace(b"Length: 12", b"Length: "),
        HEAD.replace(b"Length: 12", b"Length: 1x"),
        HEAD.replace(b"Length: 12", b"Length: 12\r\nContent-Length: 13"),
        HEAD + b"\r\nB: 1",
        HEAD[:40],
    ],
)
def test_any_other_head_is_read(other: bytes) -> None:
    """A head that differs in anything but the length is not taken for the same."""
    found = known(HEAD)
    assert found is not None
    assert found.digits(other) is None


@pytest.mark.parametrize(
    "head",
    [
        HEAD.replace(b"Content-Length: 12\r\n", b""),
        HEAD.replace(b"Content-Length: 12", b"Transfer-Encoding: chunked"),
        HEAD.replace(b"keep-alive", b"close"),
        HEAD + b"\r\nExpect: 100-continue",
    ],
)
def test_heads_that_need_a_closer_look_are_not_remembered(head: bytes) -> None:
    """Without a length, or with more to decide than where it goes, a head is read each time."""
    assert known(head) is None
