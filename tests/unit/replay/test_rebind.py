"""Ids of the recorded run put in the place of this run's, and the other way round."""

from __future__ import annotations

import json

import pytest

from tests.unit.replay.exchanges import chat, exchange
from tracelake.replay.rebind import Rebinding, Substitution, pair_ids
from tracelake.wire import read_request

RUN_1 = "6f1d1a52-5d0c-4e0e-9f1c-6d7261636b65"
RUN_2 = "0b2c9a11-77aa-4d3e-8c55-0123456789ab"


def request(*messages: object) -> object:
    """A chat request as read off the wire."""
    return read_request(exchange(chat(*messages)))


def test_ids_at_the_same_place_are_paired() -> None:
    """Uuid, hex id and temporary folder of the two runs belong together; dates do not."""
    before = request(f"agent {RUN_1} at 2026-11-21 wrote /tmp/tmpab12/x.txt as 3f9a2c1d")
    after = request(f"agent {RUN_2} at 2026-11-22 wrote /tmp/tmpzz99/x.txt as 9b8e7f60")
    assert pair_ids(before, after) == [  # type: ignore[arg-type]
        (RUN_1, RUN_2),
        ("/tmp/tmpab12", "/tmp/tmpzz99"),
        ("3f9a2c1d", "9b8e7f60"),
    ]


def test_ids_of_digits_alone_are_known_by_the_word_before_them() -> None:
    """A shell's session is a number; a number elsewhere is none that may change."""
    before = request(
        'Chunk ID: 528211\nsession ID 8556 {"chunk_id":"c508d6"} user_id: 1234 5 items'
    )
    after = request('Chunk ID: ab34d1\nsession ID 9120 {"chunk_id":"412001"} user_id: 1234 5 items')
    pairs = dict(pair_ids(before, after))  # type: ignore[arg-type]
    assert pairs == {"528211": "ab34d1", "8556": "9120", "c508d6": "412001"}
    given = {"session_id": 8556, "text": "session 8556, not 85560", "count": 8557, "ok": True}
    wanted = {"session_id": 9120, "text": "session 9120, not 85560", "count": 8557, "ok": True}
    assert Substitution(pairs).value(given) == wanted


def test_ids_are_paired_in_lines_that_otherwise_agree() -> None:
    """An added line does not shift the pairs of the others."""
    before = request(f"first\nagent {RUN_1}\nlast")
    after = request(f"first\na new line 77aa88bb\nagent {RUN_2}\nlast")
    assert pair_ids(before, after) == [(RUN_1, RUN_2)]  # type: ignore[arg-type]


def test_the_first_pairing_of_an_id_stays() -> None:
    """A later contradiction does not change what earlier answers were given with."""
    rebinding = Rebinding()
    assert rebinding.learn(request(f"a {RUN_1}"), request(f"a {RUN_2}")) == 1  # type: ignore[arg-type]
    other = RUN_2.replace("0b2c", "ffff")
    assert rebinding.learn(request(f"a {RUN_1}"), request(f"a {other}")) == 0  # type: ignore[arg-type]
    assert rebinding.forward.text(RUN_1) == RUN_2
    assert rebinding.backward.text(RUN_2) == RUN_1


def test_only_whole_words_are_replaced() -> None:
    """A folder's name is not replaced inside a longer one."""
    substitution = Substitution({"/home/u/proj": "/forks/1/work"})
    text = "/home/u/proj/a.py /home/u/proj-old/a.py /home/u/proj.git /home/u/proj. x/home/u/proj"
    assert substitution.text(text) == (
        "/forks/1/work/a.py /home/u/proj-old/a.py /home/u/proj.git /forks/1/work. x/home/u/proj"
    )


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("~/.client/projects/-home-me-my-app/memory/", "~/.client/projects/-forks-1-app/memory/"),
        ("~/.cache/-home-me-my_app.json", "~/.cache/-forks-1-app.json"),
        ("state/_home_me_my_app/x", "state/_forks_1_app/x"),
        (
            "editor://open?at=%2Fhome%2Fme%2Fmy_app%2Fa.py",
            "editor://open?at=%2Fforks%2F1%2Fapp%2Fa.py",
        ),
        ("?at%3D%2Fhome%2Fme%2Fmy_app&x", "?at%3D%2Fforks%2F1%2Fapp&x"),
        ("run --home-me my-home-me-my-app", "run --home-me my-home-me-my-app"),
    ],
)
def test_a_folder_is_replaced_in_every_spelling(old: str, new: str) -> None:
    """Clients name their own folders after the working directory; ordinary words stay."""
    substitution = Substitution({"/home/me/my_app": "/forks/1/app"})
    assert substitution.text(old) == new
    assert substitution.value({"at": old}) == {"at": new}


def test_a_short_path_is_replaced_only_as_it_is() -> None:
    """Of a folder at the top an encoded name would be an ordinary word."""
    substitution = Substitution({"/code": "/forks/1/app"})
    assert substitution.text("/code/a --code _code") == "/forks/1/app/a --code _code"


def test_a_folder_is_replaced_in_json_text_too() -> None:
    """Arguments of tool calls are JSON inside JSON, where some letters are escaped."""
    substitution = Substitution({"/home/übung/p": "/forks/1/work"})
    arguments = json.dumps({"path": "/home/übung/p/a.py"})
    body = json.dumps({"arguments": arguments}).encode()
    assert b"/forks/1/work/a.py" in substitution.body(arguments.encode())
    replaced = substitution.value(json.loads(body))
    assert json.loads(replaced["arguments"]) == {"path": "/forks/1/work/a.py"}


def test_a_folder_at_the_start_of_a_line_is_replaced_in_a_body() -> None:
    """The letter of an escaped line break before a folder or an id is no part of the word."""
    text = "found:\n/home/me/app/a.py\t/home/me/app/b.py\nagent a1b2c3d4\u00e9a1b2c3d4"
    wanted = "found:\n/copy/app/a.py\t/copy/app/b.py\nagent ffff0000\u00e9ffff0000"
    substitution = Substitution({"/home/me/app": "/copy/app", "a1b2c3d4": "ffff0000"})
    body = json.dumps({"text": text, "arguments": json.dumps({"text": text})}).encode()
    replaced = json.loads(substitution.body(body))
    assert replaced["text"] == wanted
    assert json.loads(replaced["arguments"])["text"] == wanted
