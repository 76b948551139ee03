"""Readable names for agents and programs."""

from __future__ import annotations

import json
import re
from pathlib import PurePath
from typing import Any

from tracelake.infer.phrases import embedded_json

#: Ranks of a name's origin; a better one replaces a weaker one.
FROM_HEADER, FROM_RESULT, FROM_ARGUMENT, FROM_TOOL = 8, 7, 6, 5
FROM_PROMPT, FROM_ACTION, FROM_PROGRAM, UNNAMED = 4, 3, 2, 1

_NAME_MAX_CHARS = 60
_NAME_ARGUMENT = re.compile(
    r"^(?:(?:sub_?)?agent(?:_?(?:name|type|id|role))?|subagent_type|nickname|assignee|persona|role"
    r"|specialist|(?:co_?)?worker(?:_?(?:name|id))?|delegate_?to|recipient|expert|module|colleague"
    r"|(?:team_?)?(?:member|mate)(?:_?(?:name|id|role))?|(?:to|target|next)_?agent(?:_?name)?)$",
    re.IGNORECASE,
)
_NAME_RESULT = ("nickname", "agent_nickname", "agent_name")
#: Words of a tool's name that say how it delegates, not to whom.
_DELEGATING = frozenset(
    {
        "a", "agent", "agents", "ask", "assign", "call", "colleague", "consult", "coworker",
        "create", "delegate", "delegation", "dispatch", "do", "execute", "forward",
        "handoff", "handover", "invoke", "launch", "member", "message", "new", "query",
        "request", "route", "run", "send", "spawn", "start", "sub", "subagent", "subagents",
        "subtask", "task", "tasks", "teammate", "the", "to", "tool", "transfer", "use",
        "with", "work", "worker", "workers",
    }
)  # fmt: skip
#: Words after which a tool's name tells an agent; the others may as well tell what is done.
_TO_SOMEBODY = frozenset(
    {
        "agent", "agents", "ask", "assign", "call", "consult", "delegate", "delegation", "dispatch",
        "forward", "handoff", "handover", "invoke", "spawn", "subagent", "subagents", "to",
        "transfer", "worker", "workers",
    }
)  # fmt: skip
_INTERPRETER = re.compile(r"^(?:python|node|bun|deno|ruby|uv|uvx|npx|java|bash|sh|env)[\d.]*$")
_ENTRY_POINTS = frozenset({"__main__", "main", "index", "cli", "run", "app"})


def tidy(name: str) -> str:
    """A name on one line, shortened."""
    return " ".join(name.split())[:_NAME_MAX_CHARS].strip()


def name_from_arguments(arguments: str | None) -> str | None:
    """The name that a delegating call gives the agent in its arguments, or None."""
    fields = embedded_json(arguments) if arguments else None
    if not isinstance(fields, dict):
        return None
    for key, value in fields.items():
        if _NAME_ARGUMENT.match(str(key)) and _is_name(value):
            return tidy(value)
    return None


def name_from_result(result: str) -> str | None:
    """The name that the result of a spawning call gives the agent, or None."""
    if not result.lstrip().startswith("{"):
        return None
    try:
        fields = json.loads(result)
    except ValueError:
        return None
    if not isinstance(fields, dict):
        return None
    return next((tidy(fields[key]) for key in _NAME_RESULT if _is_name(fields.get(key))), None)


def _is_name(value: Any) -> bool:
    return isinstance(value, str) and 0 < len(value.strip()) <= _NAME_MAX_CHARS


def name_from_tool(tool_name: str) -> str | None:
    """Whom a delegating tool is named after (`ask_researcher` → researcher), or None."""
    kept = [word for word in _words_of_name(tool_name) if word.lower() not in _DELEGATING]
    return tidy(" ".join(kept)) if kept else None


def called_agent(tool_name: str) -> str | None:
    """The name of the agent behind a tool, whole where the tool is named as an agent is.

    `web_agent` is an agent's name; `ask_web_agent` asks the agent `web`.
    """
    words = [word.lower() for word in _words_of_name(tool_name)]
    is_agent = len(words) > 1 and words[-1] == "agent" and not _DELEGATING & set(words[:-1])
    return tidy(tool_name) if is_agent else name_from_tool(tool_name)


def name_words(name: str) -> set[str]:
    """The words of a name, lower case, however they are joined."""
    return {word.lower() for word in _words_of_name(name)}


def says_whom(tool_name: str) -> bool:
    """Whether a tool's name tells an agent (`ask_editor`) and not an action (`weekly_report`)."""
    return any(word.lower() in _TO_SOMEBODY for word in _words_of_name(tool_name))


def _words_of_name(tool_name: str) -> list[str]:
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", tool_name)
    return [word for word in re.split(r"[\W_]+", spaced) if word]


def command_words(client: dict[str, Any]) -> tuple[str, ...]:
    """The words of the client's command as a shell was given them: its program, its arguments.

    The program is the name of a file or module; nothing where it is code alone.
    """
    command = [str(part) for part in client.get("command") or ()]
    if not command:
        return ()
    first = PurePath(command[0]).name
    if not _INTERPRETER.match(first):
        return (first, *command[1:])
    for place, part in enumerate(command[1:], 1):
        if part == "-m":
            return tuple(command[place + 1 :])
        if part.startswith("-c"):
            return ()
        if not part.startswith("-"):
            return (PurePath(part).name, *command[place + 1 :])
    return ()


def program_name(client: dict[str, Any]) -> str | None:
    """A readable name of the client program, from its command line, or None."""
    command = [str(part) for part in client.get("command") or ()]
    if not command:
        return None
    first = PurePath(command[0]).name
    if not _INTERPRETER.match(first):
        return tidy(first)
    for place, part in enumerate(command[1:], 1):
        if part == "-m" and place + 1 < len(command):
            parts = command[place + 1].split(".")
            return tidy(parts[-2] if parts[-1] in _ENTRY_POINTS and len(parts) > 1 else parts[-1])
        if part.startswith("-c"):
            return first
        if not part.startswith("-"):
            path = PurePath(part)
            if path.stem in _ENTRY_POINTS and path.parent.name:
                return tidy(path.parent.name)
            return tidy(path.stem)
    return first
