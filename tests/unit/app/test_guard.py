"""Who may use the custom routes."""

from __future__ import annotations

import pytest

from app.routes import guard

LOCAL = {"host": "localhost:8501"}
PAGE = {**LOCAL, "origin": "http://localhost:8501"}


@pytest.fixture(autouse=True)
def _no_access_token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(guard.TOKEN_ENV, raising=False)


@pytest.mark.parametrize("host", ["localhost:8501", "127.0.0.1:1", "[::1]:8501", "LOCALHOST"])
def test_a_script_on_this_machine_needs_no_token(host: str) -> None:
    """A loopback request without Origin is served under every loopback name."""
    assert guard.check_request({"host": host}, "127.0.0.1") is None
    assert guard.check_request({"host": host}, "::1") is None


def test_another_machine_is_refused_without_an_access_token() -> None:
    """Nothing is served to other machines until the owner sets an access token."""
    refusal = guard.check_request(LOCAL, "192.168.1.7")
    assert refusal is not None
    assert refusal.status == 403
    assert guard.TOKEN_ENV in refusal.reason


@pytest.mark.parametrize(
    "headers",
    [
        {"host": "evil.example:8501"},
        {"host": ""},
        {**LOCAL, "origin": "http://evil.example"},
        {**LOCAL, "origin": "null"},
        {**LOCAL, "origin": "http://localhost:9999"},
        {**LOCAL, "sec-fetch-site": "cross-site"},
    ],
)
def test_foreign_pages_are_refused_even_with_a_good_token(headers: dict[str, str]) -> None:
    """A rebound name, a foreign origin or a cross-site fetch gets 403, token or not."""
    refusal = guard.check_request(headers, "127.0.0.1", token=guard.issue_token())
    assert refusal is not None
    assert refusal.status == 403


def test_a_page_needs_its_sessions_token() -> None:
    """A request with our own Origin is served with a session token and refused without one."""
    refusal = guard.check_request(PAGE, "127.0.0.1")
    assert refusal is not None
    assert refusal.status == 401
    assert guard.check_request(PAGE, "127.0.0.1", token=guard.issue_token()) is None
    headers = {**PAGE, guard.TOKEN_HEADER: guard.issue_token()}
    assert guard.check_request(headers, "127.0.0.1") is None
    bearer = {**PAGE, "authorization": f"Bearer {guard.issue_token()}"}
    assert guard.check_request(bearer, "127.0.0.1") is None


def test_tokens_expire_and_cannot_be_forged() -> None:
    """A token is good until its time and only as it was issued."""
    token = guard.issue_token(now=1000.0, ttl_s=60)
    assert guard.verify_token(token, now=1059)
    assert not guard.verify_token(token, now=1061)
    expires, nonce, signature = token.split(".")
    assert not guard.verify_token(f"{int(expires) + 9999}.{nonce}.{signature}", now=1000)
    for junk in (None, "", "x", "1.2.3", "..", "é.é.é"):
        assert not guard.verify_token(junk)


def test_an_access_token_opens_the_app_and_closes_it_to_everyone_else(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """With an access token set, every request needs it, local scripts included."""
    monkeypatch.setenv(guard.TOKEN_ENV, "open sesame")
    remote = {"host": "lake.example"}
    assert guard.check_request(remote, "10.0.0.5", token="open sesame") is None
    for token in (None, "wrong"):
        refusal = guard.check_request(remote, "10.0.0.5", token=token)
        assert refusal is not None
        assert refusal.status == 401
    assert guard.check_request(LOCAL, "127.0.0.1") is not None
