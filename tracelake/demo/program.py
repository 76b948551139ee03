"""A small multi-agent program that looks after a Python repository.

An orchestrator hands a maintenance task to two agents that work in parallel: the coder (OpenAI)
fixes the source, the tester (Anthropic) writes the regression test and repairs the documentation.
They read, search and write real files; the orchestrator runs the tests and merges the reports.

It is written as anybody would write it, with the two providers' SDKs and nothing else, and does
not know that it may be watched: the SDKs read `ANTHROPIC_BASE_URL` and `OPENAI_BASE_URL`.

Invariant: what it sends depends on the task, the repository and the answers alone. Paths are
relative, and nothing in a prompt comes from a clock, a random source or the order of threads.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import repeat
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anthropic
import openai

if TYPE_CHECKING:
    from collections.abc import Callable

    from anthropic.types import ToolUseBlock

HERE = Path(__file__).parent
DEFAULT_TASK = (
    "A customer with an order of exactly EUR 50.00 had to pay for delivery, although we promise "
    "free delivery from EUR 50.00. Find the cause, fix it, cover it with a test, and make sure "
    "that the receipt and the documentation tell the same story as the code."
)
MODELS = {"orchestrator": "claude-sonnet-4-6", "coder": "gpt-4o", "tester": "claude-haiku-4-5"}
MAX_TURNS = 12


class ToolError(Exception):
    """A tool could not do what the model asked; the model is told why."""


@dataclass(frozen=True)
class Tool:
    """A function the model may call; every parameter is a required string."""

    name: str
    description: str
    parameters: dict[str, str]
    run: Callable[..., str]

    @property
    def schema(self) -> dict[str, Any]:
        """The parameters as JSON schema."""
        properties = {
            name: {"type": "string", "description": text} for name, text in self.parameters.items()
        }
        return {
            "type": "object",
            "properties": properties,
            "required": list(properties),
            "additionalProperties": False,
        }


@dataclass(frozen=True)
class ToolUse:
    """A tool call of the model, in the form Anthropic gives it."""

    name: str
    input: dict[str, Any]


class Repository:
    """The files the agents work on; no path leads out of the folder."""

    def __init__(self, root: Path) -> None:
        self.root = root.resolve()

    def _path(self, path: str) -> Path:
        resolved = (self.root / path).resolve()
        if not resolved.is_relative_to(self.root):
            raise ToolError(f"{path} is outside the repository")
        return resolved

    def files(self, path: str = ".") -> list[str]:
        """Every text file below a path, relative to the repository, sorted."""
        found = (p for p in self._path(path).rglob("*") if p.is_file())
        names = (p.relative_to(self.root).as_posix() for p in found)
        return sorted(n for n in names if n.endswith((".py", ".md", ".toml")))

    def list_files(self, path: str) -> str:
        """The tool `list_files`."""
        if not self._path(path).is_dir():
            raise ToolError(f"no such folder: {path}")
        return "\n".join(self.files(path)) or "(empty)"

    def read_file(self, path: str) -> str:
        """The tool `read_file`."""
        try:
            return self._path(path).read_text(encoding="utf-8")
        except OSError:
            raise ToolError(f"no such file: {path}") from None

    def grep(self, pattern: str, path: str) -> str:
        """The tool `grep`: matching lines as `file:line: text`."""
        try:
            wanted = re.compile(pattern, re.IGNORECASE)
        except re.error as error:
            raise ToolError(f"bad pattern: {error}") from None
        target = self._path(path)
        if not target.exists():
            raise ToolError(f"no such path: {path}")
        names = [path] if target.is_file() else self.files(path)
        hits = [
            f"{name}:{number}: {line.strip()}"
            for name in names
            for number, line in enumerate(self.read_file(name).splitlines(), 1)
            if wanted.search(line)
        ]
        return "\n".join(hits) or "no matches"

    def edit_file(self, path: str, old: str, new: str) -> str:
        """The tool `edit_file`: replace one passage that occurs exactly once."""
        text = self.read_file(path)
        if (count := text.count(old)) != 1:
            raise ToolError(f"the passage to replace occurs {count} times in {path}")
        self._path(path).write_text(text.replace(old, new), encoding="utf-8")
        return f"edited {path}"

    def write_file(self, path: str, content: str) -> str:
        """The tool `write_file`."""
        target = self._path(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(content, encoding="utf-8")
        return f"wrote {path}, {len(content.splitlines())} lines"

    def run_tests(self) -> str:
        """The tool `run_tests`: the report of unittest, without timings, which are only noise."""
        done = subprocess.run(
            [sys.executable, "-B", "-m", "unittest"],
            cwd=self.root,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        report = re.sub(r" in [\d.]+s", "", done.stderr or done.stdout).strip()
        return report.replace(str(self.root), ".")


def file_tools(repository: Repository) -> list[Tool]:
    """What the coder and the tester may do."""
    path = {"path": "Path relative to the repository."}
    return [
        Tool("list_files", "List the files below a folder.", path, repository.list_files),
        Tool("read_file", "Read a file.", path, repository.read_file),
        Tool(
            "grep",
            "Search the files below a path for a regular expression, ignoring case.",
            {"pattern": "Regular expression.", **path},
            repository.grep,
        ),
        Tool(
            "edit_file",
            "Replace a passage that occurs exactly once in a file.",
            {**path, "old": "The passage as it stands.", "new": "What replaces it."},
            repository.edit_file,
        ),
        Tool(
            "write_file",
            "Create a file or replace all of it.",
            {**path, "content": "The whole content."},
            repository.write_file,
        ),
    ]


def run_tool(agent: str, tools: list[Tool], call: ToolUse | ToolUseBlock) -> tuple[str, bool]:
    """Run one tool call (`name` and `input`); the result and whether it is an error."""
    name = call.name
    arguments: dict[str, Any] = call.input
    shown = ", ".join(f"{k}={v!r}" if len(v) < 50 else f"{k}=…" for k, v in arguments.items())
    say(agent, f"  {name}({shown})")
    runs = {tool.name: tool.run for tool in tools}
    try:
        return runs[name](**arguments), False
    except KeyError:
        failure = f"no such tool: {name}"
    except (ToolError, TypeError) as error:
        failure = str(error)
    say(agent, f"  {name} failed: {failure}")
    return f"Error: {failure}", True


def say(agent: str, text: str) -> None:
    """Print what an agent says or does, one prefix a line, in one piece."""
    lines = [f"{'[' + agent + ']':<15} {line}".rstrip() for line in text.splitlines() if line]
    sys.stdout.write("".join(f"{line}\n" for line in lines))
    sys.stdout.flush()


def prompt(agent: str) -> str:
    """The system prompt of an agent."""
    return (HERE / "prompts" / f"{agent}.md").read_text(encoding="utf-8").strip()


def anthropic_agent(agent: str, task: str, tools: list[Tool], *, think: bool = False) -> str:
    """Work on a task with Claude until it stops calling tools; its last answer."""
    client = anthropic.Anthropic()
    messages: list[Any] = [{"role": "user", "content": task}]
    options: dict[str, Any] = {
        "model": MODELS[agent],
        "max_tokens": 4096,
        "system": prompt(agent),
        "tools": [
            {"name": t.name, "description": t.description, "input_schema": t.schema} for t in tools
        ],
        "cache_control": {"type": "ephemeral"},
    }
    if think:
        options["thinking"] = {"type": "adaptive"}
    for _ in range(MAX_TURNS):
        with client.messages.stream(**options, messages=messages) as stream:
            answer = stream.get_final_message()
        text = "".join(block.text for block in answer.content if block.type == "text")
        calls = [block for block in answer.content if block.type == "tool_use"]
        if not calls:
            return text
        say(agent, text)
        with ThreadPoolExecutor(len(calls)) as pool:  # calls of one turn run side by side
            done = pool.map(run_tool, repeat(agent), repeat(tools), calls)
            results = [
                {
                    "type": "tool_result",
                    "tool_use_id": call.id,
                    "content": result,
                    "is_error": failed,
                }
                for call, (result, failed) in zip(calls, done, strict=True)
            ]
        messages.append({"role": "assistant", "content": [b.to_dict() for b in answer.content]})
        messages.append({"role": "user", "content": results})
    raise RuntimeError(f"the {agent} did not finish in {MAX_TURNS} turns")


def openai_agent(agent: str, task: str, tools: list[Tool]) -> str:
    """Work on a task with GPT until it stops calling tools; its last answer."""
    client = openai.OpenAI()
    messages: list[Any] = [
        {"role": "system", "content": prompt(agent)},
        {"role": "user", "content": task},
    ]
    functions: list[Any] = [
        {
            "type": "function",
            "function": {
                "name": t.name,
                "description": t.description,
                "parameters": t.schema,
                "strict": True,
            },
        }
        for t in tools
    ]
    for _ in range(MAX_TURNS):
        with client.chat.completions.stream(
            model=MODELS[agent],
            messages=messages,
            tools=functions,
            stream_options={"include_usage": True},
        ) as stream:
            answer = stream.get_final_completion().choices[0].message
        if not answer.tool_calls:
            return answer.content or ""
        say(agent, answer.content or "")
        calls = [
            {
                "id": call.id,
                "type": "function",
                "function": {"name": call.function.name, "arguments": call.function.arguments},
            }
            for call in answer.tool_calls
        ]
        messages.append({"role": "assistant", "content": answer.content, "tool_calls": calls})
        for call in answer.tool_calls:
            asked = ToolUse(call.function.name, json.loads(call.function.arguments))
            result, _ = run_tool(agent, tools, asked)
            messages.append({"role": "tool", "tool_call_id": call.id, "content": result})
    raise RuntimeError(f"the {agent} did not finish in {MAX_TURNS} turns")


def run(task: str, repository: Repository) -> str:
    """Have the team work on a task; the merged answer."""
    tools = file_tools(repository)

    def delegate(agent: str, assignment: str) -> str:
        if agent == "coder":
            return openai_agent("coder", assignment, tools)
        if agent == "tester":
            return anthropic_agent("tester", assignment, tools)
        raise ToolError(f"no such agent: {agent}")

    team = [
        Tool(
            "delegate",
            "Give an assignment to an agent and wait for its report.",
            {"agent": "coder or tester.", "assignment": "All the agent needs to know."},
            delegate,
        ),
        Tool("run_tests", "Run the tests of the repository.", {}, repository.run_tests),
    ]
    listing = "\n".join(f"- {name}" for name in repository.files())
    return anthropic_agent(
        "orchestrator", f"{task}\n\nThe repository:\n\n{listing}", team, think=True
    )


def open_repository(workdir: Path | None) -> Repository:
    """The repository to work on: a folder as it is, or a copy of the bundled one.

    A folder that does not exist or is empty, and no folder at all (a temporary one is made then),
    receive a fresh copy.
    """
    target = workdir or Path(tempfile.mkdtemp(prefix="parcels-"))
    if not target.exists() or not any(target.iterdir()):
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(HERE / "repository", target, dirs_exist_ok=True, ignore=ignored)
    return Repository(target)


def main() -> int:
    """Run the program; 0 when the team gave an answer."""
    parser = argparse.ArgumentParser(prog="python -m tracelake.demo.program", description=__doc__)
    parser.add_argument("--workdir", type=Path, help="repository to work on (default: a new copy)")
    parser.add_argument("--task", default=DEFAULT_TASK, help="what to do")
    options = parser.parse_args()
    repository = open_repository(options.workdir)
    say("task", options.task)
    try:
        answer = run(options.task, repository)
    except (anthropic.AnthropicError, openai.OpenAIError, RuntimeError) as error:
        print(f"the task was given up: {error}", file=sys.stderr)
        return 1
    print(f"\n{answer}\n\nThe changed repository is in {repository.root}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
