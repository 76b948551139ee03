"""Where the live calls of a fork go when its recording came from the offline provider.

A demo trace must never reach a real provider: if the relay's own upstreams are not offline, an
offline provider is started for the fork and ends with it.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import subprocess
import sys
import urllib.request
from typing import TYPE_CHECKING, Any

from tracelake.errors import LakeError
from tracelake.replay import guard
from tracelake.replay.source import is_offline

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Generator, Iterable, Mapping

    from tracelake.ingest.collector import Collector
    from tracelake.replay.recording import Recording

_UPSTREAMS = ("anthropic", "openai")
_PROBE_TIMEOUT_S = 1.0
_START_TIMEOUT_S = 20.0


@contextlib.asynccontextmanager
async def live_urls(
    recording: Recording, collector: Collector, *, pace: float
) -> AsyncGenerator[dict[str, str]]:
    """Base URLs for live calls by upstream; empty where the relay's own upstreams are right.

    Args:
        recording: What is replayed.
        collector: The collector whose relay hands over the calls.
        pace: Of the offline provider, when one is started.

    Raises:
        LakeError: The offline provider did not start.
    """
    if not is_offline(recording) or await asyncio.to_thread(_is_offline_already, collector):
        yield {}
        return
    reading, holding = os.pipe()
    words = [sys.executable, "-m", "tracelake.demo.provider", "--port", "0", "--pace", str(pace)]
    process = await asyncio.create_subprocess_exec(
        *guard.command(reading, words),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        pass_fds=(reading,),
        start_new_session=True,
    )
    os.close(reading)
    try:
        yield dict.fromkeys(_UPSTREAMS, await _address(process))
    finally:
        os.close(holding)
        await process.wait()


@contextlib.contextmanager
def kept_offline(
    spans: Iterable[Mapping[str, Any]], collector: Collector, run_id: str, *, pace: float = 0.3
) -> Generator[None]:
    """While the block runs the calls of a run stay offline, if the recorded ones were.

    Args:
        spans: Of the recorded trace.
        collector: The collector whose relay the calls go through.
        run_id: Run of the calls that are to be made.
        pace: Of the offline provider, when one is started.

    Raises:
        LakeError: The offline provider did not start, or the relay does not answer.
    """
    was_offline = any('"offline":true' in str(s["attributes"]).replace(" ", "") for s in spans)
    if not was_offline or _is_offline_already(collector):
        yield
        return
    reading, holding = os.pipe()
    words = [sys.executable, "-m", "tracelake.demo.provider", "--port", "0", "--pace", str(pace)]
    process = subprocess.Popen(
        guard.command(reading, words),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        pass_fds=(reading,),
        start_new_session=True,
    )
    os.close(reading)
    try:
        line = process.stdout.readline() if process.stdout else b""
        collector.redirect(run_id, _read_address(line))
        try:
            yield
        finally:
            with contextlib.suppress(LakeError):  # the relay may be gone: nothing to release
                collector.release(run_id)
    finally:
        os.close(holding)
        process.wait()
        if process.stdout:
            process.stdout.close()


def _read_address(line: bytes) -> str:
    try:
        return str(json.loads(line)["address"])
    except (ValueError, KeyError) as error:
        raise LakeError("the offline provider for this demo trace did not start") from error


async def _address(process: asyncio.subprocess.Process) -> str:
    try:
        async with asyncio.timeout(_START_TIMEOUT_S):
            line = await process.stdout.readline() if process.stdout else b""
    except TimeoutError as error:
        raise LakeError("the offline provider for this demo trace did not start") from error
    return _read_address(line)


def _is_offline_already(collector: Collector) -> bool:
    """Whether every upstream of the relay is an offline provider."""
    try:
        upstreams: dict[str, Any] = collector.health().get("upstreams") or {}
    except LakeError:
        return False
    urls = [str((upstreams.get(name) or {}).get("url") or "") for name in _UPSTREAMS]
    return all(_says_offline(url) for url in urls)


def _says_offline(url: str) -> bool:
    if not url.startswith(("http://127.0.0.1:", "http://localhost:")):
        return False
    address = url.removesuffix("/").removesuffix("/v1") + "/health"
    try:
        with urllib.request.urlopen(address, timeout=_PROBE_TIMEOUT_S) as answer:  # noqa: S310
            return bool(json.loads(answer.read()).get("offline"))
    except (OSError, ValueError, AttributeError):
        return False
