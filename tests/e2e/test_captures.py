"""Captured programs, sent again through a real relay: the tree is that of the capture itself."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypeAlias

import pytest

from tests.corpus.infer_support import CAPTURES, client_of, infer, read_capture
from tests.programs.recorded import RecordedProvider, running_recorded
from tests.programs.runs import Recording, Run
from tests.programs.trees import difference, found_paths
from tracelake.config import Location
from tracelake.infer import Inference, process_key
from tracelake.ingest.collector import Options, base_urls, start
from tracelake.model import new_id

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from pathlib import Path

Bench: TypeAlias = "tuple[str, Recording, RecordedProvider]"

FILES = sorted(CAPTURES.glob("*.jsonl"))
pytestmark = [
    pytest.mark.e2e,
    pytest.mark.skipif(not FILES, reason=f"no captures of client programs: {CAPTURES} is absent"),
]


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Generator[Bench]:
    """A collector in front of a provider that answers as captured."""
    lake: Path = tmp_path_factory.mktemp("captures") / "lake"
    location = Location(str(lake), lake / "hot")
    with running_recorded(FILES) as (address, provider):
        backends = Options(port=0, anthropic_backend=address, openai_backend=f"{address}/v1")
        collector = start(location, backends)
        recording = Recording(location.hot)
        try:
            yield collector.state.relay, recording, provider
        finally:
            recording.close()
            collector.stop()


def pure(file: Path) -> list[dict[str, Any]]:
    """What the inference makes of a capture read from its file."""
    exchanges = read_capture(file, client_of(7, ("python", "play.py")))
    key = process_key(exchanges[0].client)
    last = max(exchange.end_time for exchange in exchanges if exchange.end_time)

    def end(inference: Inference) -> list[dict[str, Any]]:
        return inference.program_ended(pid_key=key, at=last + timedelta(seconds=1))

    return infer(exchanges, end)


def play(bench: Bench, file: Path, run_ids: list[str | None]) -> list[list[dict[str, Any]]]:
    """Send a capture again, by as many processes at once as there are run ids; their traces."""
    relay, recording, provider = bench
    addresses = [base_urls(relay, run_id=run_id)["anthropic_base_url"] for run_id in run_ids]
    runs = [Run(["play.py", str(file), address], relay=relay) for address in addresses]
    try:
        for run in runs:
            run.finish()
    finally:
        for run in runs:
            run.stop()
    assert provider.unknown == []
    found: list[list[dict[str, Any]]] = []
    calls = len(file.read_text(encoding="utf-8").splitlines())
    for run, run_id in zip(runs, run_ids, strict=True):
        traces = recording.finished(run.process.pid, calls=calls)
        assert len(traces) == 1
        (trace_id, spans), *_ = traces.items()
        if run_id is not None:
            assert trace_id == run_id
        found.append(spans)
    return found


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_captured_program_gives_the_tree_of_its_capture(
    bench: Bench, file: Path, figures: Callable[[str], None]
) -> None:
    """Relay, ingest and inference lose, add and move nothing, for two runs at the same time.

    One run has a prefix of its own; the other is told by its process, or by its own session header.
    """
    true = found_paths(pure(file))
    for found in (found_paths(spans) for spans in play(bench, file, [new_id(), None])):
        assert found == true, difference(found, true)
    figures(f"{file.stem:<28}{true.total()} spans, {max(map(len, true))} deep")
