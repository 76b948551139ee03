"""Tool definitions and the choice among them, of every format."""

from __future__ import annotations

from typing import Any

from tracelake.wire.conversion.content import SERVED
from tracelake.wire.conversion.prompt import Notes, Tool
from tracelake.wire.lenient import JsonObject, mapping, objects, string

#: A tool without arguments.
_NO_ARGUMENTS: JsonObject = {"type": "object", "properties": {}}
#: Keys of a definition that are read, or noted elsewhere; any other is named as lost.
_READ = frozenset(
    {
        "type", "name", "description", "input_schema", "parameters", "strict", "function", "custom",
        "format", "cache_control", "tools",
    }
)  # fmt: skip
_ANY = {"messages": "any", "chat": "required", "responses": "required"}


def read(tools: Any, notes: Notes) -> list[Tool]:
    """The tools that the client runs; those of the provider are noted as lost."""
    found: list[Tool] = []
    for tool in objects(tools):
        kind = string(tool.get("type"))
        if kind == "namespace":
            notes.change("tools of a namespace, listed one by one", string(tool.get("name")))
            found += read(tool.get("tools"), notes)
        elif kind in {"", "function", "custom"}:
            found.append(_tool(tool, kind))
            for key in tool.keys() - _READ:
                notes.lose("keys of tool definitions", key)
        else:
            notes.lose(SERVED, string(tool.get("name") or tool.get("server_label")) or kind)
    return found


def write(tools: list[Tool], wanted: str) -> list[JsonObject]:
    """The definitions in a format."""
    return [_WRITERS[wanted](tool) for tool in tools]


def read_choice(body: JsonObject) -> JsonObject:
    """Which tools the model may call: `mode` (auto, any, none, tool), `name`, `parallel`."""
    choice = body.get("tool_choice")
    found: JsonObject = {}
    if isinstance(choice, str):
        found["mode"] = "any" if choice in {"required", "any"} else choice
    elif isinstance(choice, dict):
        target = mapping(choice.get("function") or choice.get("custom")) or choice
        kind = string(choice.get("type"))
        if kind in {"function", "tool", "custom"}:
            found |= {"mode": "tool", "name": string(target.get("name"))}
        else:
            found["mode"] = kind
        if isinstance(choice.get("disable_parallel_tool_use"), bool):
            found["parallel"] = not choice["disable_parallel_tool_use"]
    if isinstance(body.get("parallel_tool_calls"), bool):
        found["parallel"] = body["parallel_tool_calls"]
    return found


def write_choice(choice: JsonObject, tools: list[Tool], wanted: str, notes: Notes) -> JsonObject:
    """The parameters that say which tools may be called; none where there are no tools."""
    mode, parallel = choice.get("mode"), choice.get("parallel")
    if not choice or not tools:
        return {}
    if mode not in {None, "auto", "any", "none", "tool"} or (
        mode == "tool" and choice["name"] not in {tool.name for tool in tools}
    ):
        notes.lose("parameters", "tool_choice")
        mode = None
    written: JsonObject = {}
    if wanted == "messages":
        if mode or parallel is False:
            written = {"type": _ANY[wanted] if mode == "any" else mode or "auto"}
            written |= {"name": choice["name"]} if mode == "tool" else {}
            written |= {"disable_parallel_tool_use": True} if parallel is False else {}
        return {"tool_choice": written} if written else {}
    if mode == "tool":
        name = {"name": choice["name"]}
        target = {"function": name} if wanted == "chat" else name
        written["tool_choice"] = {"type": "function", **target}
    elif mode:
        written["tool_choice"] = _ANY[wanted] if mode == "any" else mode
    if parallel is not None:
        written["parallel_tool_calls"] = parallel
    return written


def _tool(tool: JsonObject, kind: str) -> Tool:
    target = mapping(tool.get("function") or tool.get("custom")) or tool
    description, strict = target.get("description"), target.get("strict")
    # Anthropic names a plain tool `custom` as well; a schema tells them apart
    schema = target.get("input_schema", target.get("parameters"))
    is_free_text = kind == "custom" and "input_schema" not in target
    return Tool(
        name=string(target.get("name")),
        description=description if isinstance(description, str) else None,
        schema=None if is_free_text else mapping(schema) or _NO_ARGUMENTS,
        grammar=_grammar(target.get("format")) if is_free_text else None,
        strict=strict if isinstance(strict, bool) else None,
    )


def _grammar(given: Any) -> JsonObject | None:
    """The format of free text as the Responses format writes it; chat nests it once more."""
    form = mapping(given)
    inner = mapping(form.get("grammar"))
    return {"type": "grammar", **inner} if inner else form or None


def _as_messages(tool: Tool) -> JsonObject:
    schema = tool.schema
    if schema is None:
        # the nearest there is: one argument that holds the text
        schema = {
            "type": "object",
            "properties": {"input": {"type": "string"}},
            "required": ["input"],
        }
    written: JsonObject = {"name": tool.name, "input_schema": {"type": "object", **schema}}
    if tool.description is not None:
        written["description"] = tool.description
    return {**written, "strict": True} if tool.strict else written


def _as_chat(tool: Tool) -> JsonObject:
    function: JsonObject = {"name": tool.name}
    if tool.description is not None:
        function["description"] = tool.description
    if tool.schema is None:
        if tool.grammar:
            inner = {key: value for key, value in tool.grammar.items() if key != "type"}
            function["format"] = {"type": tool.grammar.get("type"), **(
                {"grammar": inner} if inner else {}
            )}  # fmt: skip
        return {"type": "custom", "custom": function}
    function["parameters"] = tool.schema
    if tool.strict is not None:
        function["strict"] = tool.strict
    return {"type": "function", "function": function}


def _as_responses(tool: Tool) -> JsonObject:
    written: JsonObject = {"type": "function", "name": tool.name}
    if tool.description is not None:
        written["description"] = tool.description
    if tool.schema is None:
        form = {"format": tool.grammar} if tool.grammar else {}
        return {**written, "type": "custom", **form}
    # left out it would mean strict here, which the other formats do not mean by it
    return {**written, "parameters": tool.schema, "strict": bool(tool.strict)}


_WRITERS = {"messages": _as_messages, "chat": _as_chat, "responses": _as_responses}
