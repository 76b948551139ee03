"""How long replay takes to find a call among thousands of recorded ones; prints, asserts nothing.

    python -m benchmarks.replay_match --agents 100 --turns 50

Each agent resends its history with every call, as agents do. The first call that is not exactly a
recorded one makes replay look at every recording; the second finds that done.
"""

from __future__ import annotations

import argparse
import json
import random
import time
from datetime import UTC, datetime, timedelta
from typing import Any

from tracelake.model import Exchange
from tracelake.replay.match import Matcher
from tracelake.replay.recording import Recording

START = datetime(2026, 11, 22, 10, tzinfo=UTC)


def main() -> None:
    """Make a recording and time four calls against it, in seconds of CPU time."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--agents", type=int, default=100)
    parser.add_argument("--turns", type=int, default=50)
    arguments = parser.parse_args()
    exchanges = record(arguments.agents, arguments.turns)
    size_mb = sum(len(one.request_body) for one in exchanges) / 1e6
    print(f"{len(exchanges)} recordings, {size_mb:.0f} MB of requests")
    threads = {one.span_id: one.span_id.partition("-")[0] for one in exchanges}
    matcher = Matcher(Recording("trace", exchanges, threads=threads))
    changed = json.loads(exchanges[1].request_body)
    changed["messages"][1]["content"] += " 11:22:33"
    unknown = json.dumps(changed).encode()
    for name, body in (
        ("first exact", exchanges[0].request_body),
        ("second exact", exchanges[2].request_body),
        ("first that is not exact", unknown),
        ("second that is not exact", unknown),
    ):
        began = time.process_time()
        found = matcher.match(_exchange("new", body, 0.0), fuzzy=False)
        print(f"{name:<26} {time.process_time() - began:7.3f} s  {type(found).__name__}")


def record(agents: int, turns: int) -> list[Exchange]:
    """Calls of agents side by side, each with all that was said before in its conversation."""
    chosen = random.Random(7)
    found: list[Exchange] = []
    for agent in range(agents):
        system = f"You are agent {agent}. {_text(chosen, 2000)}"
        said: list[dict[str, Any]] = [
            {"role": "system", "content": system},
            {"role": "user", "content": _text(chosen, 500)},
        ]
        for turn in range(turns):
            body = json.dumps({"model": "gpt-4o", "messages": said}).encode()
            found.append(_exchange(f"s{agent}-{turn}", body, turn * 100.0 + agent))
            said += [
                {"role": "assistant", "content": _text(chosen, 300)},
                {"role": "user", "content": _text(chosen, 400)},
            ]
    return found


def _text(chosen: random.Random, chars: int) -> str:
    words = " ".join(f"word{chosen.randrange(500)}" for _ in range(chars // 7))
    took, mark = chosen.random(), chosen.getrandbits(64)
    return f"{words} took {took:.2f}s id {mark:016x}\nsecond line {took}\n"


def _exchange(span_id: str, body: bytes, at_s: float) -> Exchange:
    start = START + timedelta(seconds=at_s)
    message = {"role": "assistant", "content": "ok"}
    answer = {"choices": [{"index": 0, "message": message, "finish_reason": "stop"}]}
    return Exchange(
        span_id=span_id,
        start_time=start,
        end_time=start + timedelta(seconds=1),
        method="POST",
        path="/v1/chat/completions",
        upstream="openai",
        request_headers=(),
        request_body=body,
        status=200,
        response_headers=(("content-type", "application/json"),),
        response_body=json.dumps(answer).encode(),
        outcome="ok",
    )


if __name__ == "__main__":
    main()
