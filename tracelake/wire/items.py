"""Items of the OpenAI Responses format that are no messages, read into parts.

Two families cover nearly all: `…_call`, which asks for a tool (and, for tools that the provider
runs itself, already holds what came of it), and `…_call_output`, which answers one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tracelake.wire.blocks import read_blocks, result_parts
from tracelake.wire.lenient import canonical, mapping, name_or_none, objects, string
from tracelake.wire.part import Part

if TYPE_CHECKING:
    from tracelake.wire.lenient import JsonObject

#: What a call item says besides what it asks for; the rest of it is its arguments.
_NOT_ARGUMENTS = frozenset(
    {
        "type",
        "id",
        "call_id",
        "status",
        "name",
        "namespace",
        "server_label",
        "execution",
        "approval_request_id",
        "created_by",
        "container_id",
        "output",
        "outputs",
        "results",
        "result",
        "error",
    }
)
_RESULTS = ("output", "outputs", "results", "result", "error")


def read_item(item: JsonObject) -> tuple[str, list[Part]] | None:
    """Role and parts of an item, or None when it is none of the items known here.

    The type decides by its ending, so that a tool the provider adds tomorrow is read as well.
    """
    kind = string(item.get("type"))
    if kind == "reasoning":
        return "assistant", [_reasoning(item)]
    if kind.endswith(("_output", "_response")):
        return "user", _output(item, kind)
    if kind.endswith(("_call", "_approval_request")):
        return "assistant", _call(item, kind)
    if kind in {"compaction", "compaction_summary", "item_reference", "mcp_list_tools"}:
        return "assistant", [Part("other", json=item)]
    if kind == "additional_tools":
        return "developer", []  # read as the call's tools
    if kind == "agent_message":
        return "user", read_blocks(item.get("content"))  # another agent's, to this one
    return None


def _reasoning(item: JsonObject) -> Part:
    """The summary and, where the provider shows it, the reasoning itself."""
    texts = [
        string(piece.get("text"))
        for piece in (*objects(item.get("summary")), *objects(item.get("content")))
    ]
    return Part("thinking", text="\n\n".join(text for text in texts if text), json=item)


def _call(item: JsonObject, kind: str) -> list[Part]:
    call_id = name_or_none(item.get("call_id") or item.get("id"))
    name = name_or_none(item.get("name")) or kind.removesuffix("_call")
    call = Part("tool_call", id=call_id, name=name, arguments=_arguments(item))
    results: list[Any] = [item[key] for key in _RESULTS if item.get(key)]
    if not results:
        return [call]
    failed = True if item.get("error") or item.get("status") == "failed" else None
    if kind == "image_generation_call" and isinstance(item.get("result"), str):
        return [call, Part("image", data=item["result"])]
    return [call, *result_parts(results, call_id, name=name, is_error=failed)]


def _arguments(item: JsonObject) -> str:
    for key in ("arguments", "input", "action"):
        if item.get(key) is not None:
            return canonical(item[key])
    rest = {k: v for k, v in item.items() if k not in _NOT_ARGUMENTS and v is not None}
    return canonical(rest)


def _exited_badly(content: Any) -> bool | None:
    """Whether a command of a shell ended in error or ran too long; None where nothing tells."""
    outcomes = [mapping(piece.get("outcome")) for piece in objects(content)]
    codes = [
        -1 if outcome.get("type") == "timeout" else outcome.get("exit_code") for outcome in outcomes
    ]
    told = [code for code in codes if isinstance(code, int)]
    return any(told) if told else None


def _output(item: JsonObject, kind: str) -> list[Part]:
    content = item.get("output")
    if content is None and kind == "tool_search_output":
        content = [string(tool.get("name")) for tool in objects(item.get("tools"))]
    if content is None and kind == "mcp_approval_response":
        content = "approved" if item.get("approve") else "denied"
    failed = True if string(item.get("status")) in {"failed", "incomplete"} else None
    failed = failed or _exited_badly(content)
    call_id = item.get("call_id") or item.get("approval_request_id") or item.get("id")
    return result_parts(content, call_id, name=item.get("name"), is_error=failed)
