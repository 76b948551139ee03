"""Edits that no test has recorded yet, on the disk."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from tracelake.errors import LakeError
from tracelake.playground import drafts
from tracelake.playground.draft import Draft
from tracelake.playground.drafts import AGE_MAX, DRAFTS_MAX, Edits
from tracelake.redaction import parse_patterns

if TYPE_CHECKING:
    from pathlib import Path

CALL = ("trace", "call")
#: Text that JSON and file names are most easily wrong about.
ODD = 'a\u2028"\\\ud83d lone, 😀 whole\n'


def _edits(system: str = "Be brief.", **parameters: Any) -> Edits:
    messages = [{"role": "user", "content": [{"type": "text", "text": system}]}]
    draft = Draft("messages", "anthropic", system, messages, None, {"model": "m", **parameters})
    return Edits((draft,), {"name": "Ann"})


@pytest.mark.parametrize("call", [CALL, None, ("t" * 200, "s:" * 100)])
def test_edits_come_back_as_they_were(tmp_path: Path, call: drafts.Call) -> None:
    """What is read is what was kept, of recorded calls with long ids and of new ones."""
    first = Draft("chat", "openai", ODD, "plain", [{"name": ODD}], {"top_k": 10**30, "x": 0.1})
    edits = Edits((first, *_edits(ODD).drafts), {"who": ODD})
    before = datetime.now(UTC) - timedelta(seconds=1)
    kept = drafts.keep(tmp_path / "drafts", call, edits, None)
    assert drafts.read(tmp_path / "drafts", call, kept.id) == (kept, edits)
    assert drafts.latest(tmp_path / "drafts", call) == kept
    assert before <= kept.at <= datetime.now(UTC)


def test_later_edits_take_the_place_of_earlier_ones(tmp_path: Path) -> None:
    """One file a draft, nothing beside it; the last state is read."""
    kept = drafts.keep(tmp_path, CALL, _edits("one"), None)
    kept = drafts.keep(tmp_path, CALL, _edits("two"), kept)
    assert drafts.read(tmp_path, CALL, kept.id)[1] == _edits("two")
    assert len(list(tmp_path.iterdir())) == 1


def test_nobody_writes_over_what_another_session_kept(tmp_path: Path) -> None:
    """Two that go on from one draft end with two; discarding one leaves the other's."""
    start = drafts.keep(tmp_path, CALL, _edits("both"), None)
    mine = drafts.keep(tmp_path, CALL, _edits("mine"), start)
    theirs = drafts.keep(tmp_path, CALL, _edits("theirs"), start)
    assert mine.id == start.id != theirs.id
    drafts.discard(tmp_path, CALL, start)
    assert drafts.read(tmp_path, CALL, mine.id)[1] == _edits("mine")
    assert drafts.read(tmp_path, CALL, theirs.id)[1] == _edits("theirs")


def test_a_discarded_draft_is_gone_until_somebody_goes_on(tmp_path: Path) -> None:
    """Its link says so; who still edits it brings it back under the same link."""
    kept = drafts.keep(tmp_path, CALL, _edits("one"), None)
    drafts.discard(tmp_path, CALL, kept)
    assert drafts.latest(tmp_path, CALL) is None
    with pytest.raises(LakeError, match="no longer kept"):
        drafts.read(tmp_path, CALL, kept.id)
    assert drafts.keep(tmp_path, CALL, _edits("two"), kept).id == kept.id


def test_a_draft_belongs_to_its_call(tmp_path: Path) -> None:
    """Edits of one call are refused for another, also when their file was renamed to it."""
    kept = drafts.keep(tmp_path, CALL, _edits(), None)
    other = drafts.keep(tmp_path, None, _edits(), None)
    for call in (("trace", "other"), None):
        with pytest.raises(LakeError, match="another call"):
            drafts.read(tmp_path, call, kept.id)
    (file,) = tmp_path.glob(f"*-{kept.id}.json")
    file.rename(tmp_path / f"new-{kept.id}.json")
    with pytest.raises(LakeError, match="damaged"):
        drafts.read(tmp_path, None, kept.id)
    assert drafts.read(tmp_path, None, other.id)[1] == _edits()


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: data[: len(data) // 2],
        lambda _: b"",
        lambda _: b"[]",
        lambda _: b"[" * 100_000,
        lambda _: b"\xff\xfe\x00",
        lambda data: data.replace(b'"version": 1', b'"version": 2'),
        lambda data: data.replace(b'"api": "messages"', b'"api": "fax"'),
        lambda data: data.replace(b'"system": "Be brief."', b'"system": 7'),
        lambda data: data.replace(b'"parameters"', b'"other"'),
        lambda data: json.dumps({**json.loads(data), "drafts": []}).encode(),
    ],
)
def test_a_damaged_draft_is_one_clear_error(tmp_path: Path, damage: Any) -> None:
    """Whatever became of the file, reading it says that it is damaged."""
    kept = drafts.keep(tmp_path, CALL, _edits(), None)
    (file,) = tmp_path.iterdir()
    whole = file.read_bytes()
    file.write_bytes(damage(whole))
    assert file.read_bytes() != whole
    with pytest.raises(LakeError, match="damaged"):
        drafts.read(tmp_path, CALL, kept.id)


@pytest.mark.parametrize("draft_id", ["../../etc/passwd", "", "0123", "*" * 16, "A" * 16])
def test_an_id_names_no_path(tmp_path: Path, draft_id: str) -> None:
    """What is no id of a draft is never looked for."""
    drafts.keep(tmp_path, CALL, _edits(), None)
    with pytest.raises(LakeError, match="could have been kept"):
        drafts.read(tmp_path, CALL, draft_id)


def test_old_and_too_many_drafts_go(tmp_path: Path) -> None:
    """A new draft takes away those past their age, and the oldest past their number."""
    now = datetime.now(UTC).timestamp()
    for number in range(DRAFTS_MAX + 5):
        kept = drafts.keep(tmp_path, ("trace", str(number)), _edits(), None)
        (file,) = tmp_path.glob(f"*-{kept.id}.json")
        os.utime(file, (now, now - 1000 + number))
    assert len(list(tmp_path.iterdir())) == DRAFTS_MAX
    assert drafts.latest(tmp_path, ("trace", "4")) is None
    assert drafts.latest(tmp_path, ("trace", "5")) is not None
    drafts.sweep(tmp_path, datetime.now(UTC) + AGE_MAX)
    assert not list(tmp_path.iterdir())


def test_what_must_not_reach_the_disk_is_not_kept(tmp_path: Path) -> None:
    """Edits that a pattern matches are refused whole: as text, as escaped text, as JSON."""
    for pattern in ("hunter2", 'say "x"', '"temperature":0.5'):
        patterns = parse_patterns(pattern)
        edits = _edits('hunter2, say "x"', temperature=0.5)
        with pytest.raises(LakeError, match="patterns"):
            drafts.keep(tmp_path, CALL, edits, None, patterns=patterns)
        drafts.keep(tmp_path, CALL, _edits(), None, patterns=patterns)
    assert not any(b"hunter2" in file.read_bytes() for file in tmp_path.iterdir())


def test_a_draft_larger_than_all_others_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is too large is said; what all hold together stays below its limit."""
    monkeypatch.setattr(drafts, "DRAFT_BYTES_MAX", 2_000_000)
    with pytest.raises(LakeError, match="larger than 2 MB"):
        drafts.keep(tmp_path, CALL, _edits("x" * 2_000_000), None)
    monkeypatch.setattr(drafts, "FOLDER_BYTES_MAX", 10_000)
    for _ in range(5):
        drafts.keep(tmp_path, CALL, _edits("x" * 2_000), None)
    assert sum(file.stat().st_size for file in tmp_path.iterdir()) < 10_000


def test_a_folder_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    """The system's own error comes out, for the page to say."""
    (tmp_path / "drafts").write_text("a file where the folder should be")
    with pytest.raises(OSError, match="drafts"):
        drafts.keep(tmp_path / "drafts", CALL, _edits(), None)
