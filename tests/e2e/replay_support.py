"""A stage for replays: offline provider that counts, collector, lake, and small programs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import urllib.request
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tracelake.ingest import collector
from tracelake.lake import Lake
from tracelake.replay.fork import Fork, start_fork
from tracelake.replay.launch import Streams
from tracelake.replay.plan import ForkRequest, plan_fork
from tracelake.replay.recorded import settle, start_recorded

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

TIMEOUT_S = 120.0

SEQUENTIAL = '''
"""Asks three times, each question built on the answer before."""
import anthropic

client = anthropic.Anthropic()
said = [{"role": "user", "content": "Name a city."}]
for question in ("And its river?", "And a bridge over it?", None):
    answer = client.messages.create(model="claude-sonnet-4-5", max_tokens=300, messages=said)
    text = "".join(block.text for block in answer.content if block.type == "text")
    said.append({"role": "assistant", "content": text})
    if question:
        said.append({"role": "user", "content": question})
open("result.txt", "w").write(text)
print(text)
'''

PARALLEL = '''
"""Three workers side by side, streamed and not, on both SDKs; then one that merges."""
import asyncio
import anthropic, openai


async def claude(topic):
    client = anthropic.AsyncAnthropic()
    async with client.messages.stream(
        model="claude-haiku-4-5", max_tokens=400, system=f"You study {topic}.",
        messages=[{"role": "user", "content": f"Write a paragraph on {topic}."}],
    ) as stream:
        return await stream.get_final_text()


async def gpt(topic, stream):
    client = openai.AsyncOpenAI()
    answer = await client.chat.completions.create(
        model="gpt-4o", stream=stream,
        messages=[{"role": "system", "content": f"You study {topic}."},
                  {"role": "user", "content": f"Write a paragraph on {topic}."}],
    )
    if not stream:
        return answer.choices[0].message.content
    return "".join([c.choices[0].delta.content or "" async for c in answer if c.choices])


async def main():
    parts = await asyncio.gather(claude("tides"), gpt("wind", True), gpt("rain", False))
    client = openai.AsyncOpenAI()
    merged = await client.responses.create(
        model="gpt-4o", instructions="You are the editor.", input="Merge:\\n" + "\\n".join(parts)
    )
    print(merged.output_text)


asyncio.run(main())
'''

SLOW = '''
"""Asks, starts a child of its own, and then works for a long time."""
import subprocess, sys, time
import anthropic

client = anthropic.Anthropic()
said = [{"role": "user", "content": "Begin."}]
client.messages.create(model="claude-sonnet-4-5", max_tokens=100, messages=said)
if sys.argv[1:] == ["quick"] and not __import__("os").environ.get("SLOW_NOW"):
    raise SystemExit
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
open("pids", "w").write(f"{__import__('os').getpid()} {child.pid}")
time.sleep(600)
'''


@dataclass(frozen=True, slots=True)
class Stage:
    """What a replay test plays on."""

    lake: Lake
    collector: collector.Collector
    provider: str

    def calls(self) -> list[dict[str, Any]]:
        """The calls that reached the provider so far."""
        with urllib.request.urlopen(f"{self.provider}/stats", timeout=60) as answer:
            return json.loads(answer.read())["calls"]

    def record(self, cwd: Path, *command: str, **environ: str) -> str:
        """Run a program, recorded; its trace id."""
        with (cwd.parent / f"{cwd.name}.log").open("wb") as output:
            run = start_recorded(
                self.lake,
                list(command),
                relay=self.collector.state.relay,
                cwd=cwd,
                environ={**environment(), **environ},
                streams=Streams(output=output),
            )
            code = run.process.wait(TIMEOUT_S)
        run.finish(code)
        assert code == 0, (cwd.parent / f"{cwd.name}.log").read_text()
        trace = settle(self.lake, run.run_id, 60)
        assert trace is not None
        assert trace["status"] != "running"
        return run.run_id

    def fork(self, request: ForkRequest) -> Fork:
        """Start a fork."""
        return start_fork(self.lake, plan_fork(self.lake, request), self.collector)

    def spans(self, trace_id: str, **wanted: str) -> list[dict[str, Any]]:
        """The spans of a trace, those with these columns."""
        spans = self.lake.trace(trace_id).rows(named=True)
        return [span for span in spans if all(span[k] == v for k, v in wanted.items())]

    def trace(self, trace_id: str) -> dict[str, Any]:
        """The row of a trace."""
        return self.lake.traces().filter(trace_id=trace_id).collect().row(0, named=True)


def environment() -> dict[str, str]:
    """The environment of programs: ours, with keys that open nothing."""
    keys = {"ANTHROPIC_API_KEY": "none", "OPENAI_API_KEY": "none"}
    return {**os.environ, **keys, "PYTHONDONTWRITEBYTECODE": "1"}


@contextmanager
def staged(folder: Path) -> Iterator[Stage]:
    """A stage in that folder."""
    words = [sys.executable, "-m", "tracelake.demo.provider", "--port", "0", "--pace", "0"]
    provider = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
    try:
        assert provider.stdout is not None
        address = json.loads(provider.stdout.readline())["address"]
        lake = Lake(folder / "lake")
        options = collector.Options(
            port=0, anthropic_backend=address, openai_backend=f"{address}/v1"
        )
        running = collector.start(lake.location, options)
        try:
            yield Stage(lake, running, address)
        finally:
            running.stop()
            lake.close()
    finally:
        provider.terminate()
        provider.wait(10)
        if provider.stdout:
            provider.stdout.close()


def write_program(folder: Path, source: str) -> Path:
    """A folder of its own with a program `agent.py` in it."""
    folder.mkdir(parents=True)
    (folder / "agent.py").write_text(source)
    return folder
