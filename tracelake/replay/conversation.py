"""Replay without the program: downstream model calls are issued again with what was changed.

For traces without a recorded command (imported, traced in process, captured without `run`). The
conversation goes on from the edited answer: tools that were called before with the same arguments
give their recorded results, delegations run the recorded agent again with the new assignment,
registered functions are called, and where none of this holds the replay stops and says so.

Pure but for `send` and the registered functions, which are given.
"""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast

from tracelake.errors import ConfigError, NotInLake
from tracelake.wire import rebuild_body, response_turn
from tracelake.wire.conversation import atoms_of
from tracelake.wire.lenient import array, canonical, mapping, objects, parse

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from types import ModuleType

    from tracelake.wire import Atom

Span = dict[str, Any]
ROUNDS_MAX = 40
_LEAF_MIN_CHARS = 4
#: Format of calls that a Tracer wrote down, which names the provider alone.
_USUAL = {"anthropic": "messages", "openai": "chat"}
#: Of an answer, where the recorded call did not say.
_MAX_TOKENS = 4096
_JSON_COLUMNS = ("request", "messages", "tools", "response_blocks", "parameters", "attributes")


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that happened, or the place where the replay stopped.

    Attributes:
        outcome: edited, live, recorded (a tool's known result), registered (a function was
            called), rerun (an agent works again), stopped.
        span_id: The recorded span it repeats, where there is one.
    """

    kind: Literal["llm", "tool", "agent"]
    outcome: Literal["edited", "live", "recorded", "registered", "rerun", "stopped"]
    name: str
    text: str
    depth: int
    span_id: str | None = None


@dataclass(frozen=True, slots=True)
class ConversationResult:
    """Every step in order, and the root agent's last answer; None where the replay stopped."""

    steps: tuple[Step, ...]
    output: str | None


@dataclass(slots=True)
class ConversationReplay:
    """One replay of one trace.

    Args:
        spans: Spans of the trace, rows of the table `spans`, in start order.
        send: Issues a call: wire format and body in, native blocks of the answer out.
        tools: Functions by tool name, called with the tool's arguments by keyword.
        report: Told of each step as it is made.
        is_cancelled: Asked before each call that is issued.
    """

    spans: Sequence[Span]
    send: Callable[[str, dict[str, Any]], list[Any]]
    tools: Mapping[str, Callable[..., Any]] = field(default_factory=dict[str, Any])
    report: Callable[[Step], None] | None = None
    is_cancelled: Callable[[], bool] = bool
    _steps: list[Step] = field(default_factory=list[Step])
    _claimed: set[str] = field(default_factory=set[str])
    _rounds: int = 0

    def __post_init__(self) -> None:
        """Read the JSON columns once."""
        self.spans = [_loaded(span) for span in self.spans]

    def run(self, span_id: str, blocks: list[Any]) -> ConversationResult:
        """Go on from a call as if it had answered this.

        Args:
            span_id: The edited model call.
            blocks: Its new answer in the native blocks of its format.

        Raises:
            NotInLake: There is no such call.
            ConfigError: The call was recorded without its messages or format.
        """
        call = next((s for s in self.spans if s["span_id"] == span_id and s["kind"] == "llm"), None)
        if call is None:
            raise NotInLake(f"no model call {span_id!r} in this trace")
        text = _text_of(_api(call), blocks)
        self._note(Step("llm", "edited", _name(call), text, 0, span_id))
        output = self._go_on(call, _body(call), blocks, 0)
        output = self._hand_up(call, output)
        return ConversationResult(tuple(self._steps), output)

    def _go_on(self, call: Span, body: dict[str, Any], blocks: list[Any], depth: int) -> str | None:
        """Follow a conversation until an answer calls no tool; its text, None where it stopped."""
        api = _api(call)
        while calls := _tool_calls(api, blocks):
            results: list[tuple[Atom, str]] = []
            for atom in calls:
                result = self._result(atom, depth)
                if result is None:
                    return None
                results.append((atom, result))
            body = extended(api, body, blocks, results)
            answer = self._ask(call, body, depth)
            if answer is None:
                return None
            blocks = answer
        return _text_of(api, blocks)

    def _ask(self, call: Span, body: dict[str, Any], depth: int) -> list[Any] | None:
        self._rounds += 1
        if self.is_cancelled():
            self._stop("llm", _name(call), "cancelled", depth)
            return None
        if self._rounds > ROUNDS_MAX:
            self._stop("llm", _name(call), f"{ROUNDS_MAX} calls were issued without an end", depth)
            return None
        blocks = self.send(_api(call), body)
        text = _text_of(_api(call), blocks)
        self._note(Step("llm", "live", _name(call), text, depth))
        return blocks

    def _result(self, atom: Atom, depth: int) -> str | None:
        """What a tool call gives: recorded, by an agent that works again, or by a function."""
        name, arguments = str(atom.name), canonical(atom.arguments)
        known = [s for s in self.spans if s["kind"] == "tool" and _tool_name(s) == name]
        for span in known:
            if canonical(span["parameters"]) == arguments and span["result"] is not None:
                said = str(span["result"])
                self._note(Step("tool", "recorded", name, said, depth, span["span_id"]))
                return said
        for span in known:
            child = next(
                (
                    s
                    for s in self.spans
                    if s["kind"] == "agent" and s["parent_id"] == span["span_id"]
                ),
                None,
            )
            if child is not None and span["span_id"] not in self._claimed:
                self._claimed.add(str(span["span_id"]))
                return self._rerun(child, span["parameters"], parse(arguments), depth)
        if name in self.tools:
            try:
                given = parse(arguments)
                said = str(self.tools[name](**cast("dict[str, Any]", given)))
            except Exception as error:  # noqa: BLE001 - a tool's failure is an answer to the model
                said = f"Error: {error}"
            self._note(Step("tool", "registered", name, said, depth))
            return said
        why = f"no recorded result for {name}({arguments[:120]}), and no such tool is registered"
        self._stop("tool", name, why, depth)
        return None

    def _rerun(self, agent: Span, before: Any, after: Any, depth: int) -> str | None:
        """Let a recorded agent work again, its assignment replaced in its first call."""
        calls = self._calls_of(agent)
        if not calls:
            self._stop("agent", _name(agent), "the agent's calls were not recorded", depth)
            return None
        self._note(Step("agent", "rerun", _name(agent), "", depth, agent["span_id"]))
        pairs = _changed_leaves(before, after)
        body = _replaced(_body(calls[0]), pairs)
        blocks = self._ask(calls[0], body, depth + 1)
        return None if blocks is None else self._go_on(calls[0], body, blocks, depth + 1)

    def _hand_up(self, call: Span, output: str | None) -> str | None:
        """Carry an agent's new answer into the call that had received the old one, and so on."""
        while output is not None:
            agent = next((s for s in self.spans if s["span_id"] == call["parent_id"]), None)
            own = self._calls_of(agent) if agent else []
            old = str(own[-1]["response"] or "") if own else ""
            receiver = self._receiver(call, agent, old)
            if receiver is None or not old:
                return output
            body = _replaced(_body(receiver), [(old, output)])
            blocks = self._ask(receiver, body, 0)
            if blocks is None:
                return None
            call, output = receiver, self._go_on(receiver, body, blocks, 0)
        return None

    def _receiver(self, call: Span, agent: Span | None, old: str) -> Span | None:
        """The first later call of another agent that was given an agent's old answer."""
        if agent is None or not old:
            return None
        needle = json.dumps(old, ensure_ascii=False)[1:-1]
        return next(
            (
                span
                for span in self.spans
                if span["kind"] == "llm"
                and span["parent_id"] != call["parent_id"]
                and span["start_time"] > call["start_time"]
                and needle in json.dumps(span["messages"], ensure_ascii=False)
            ),
            None,
        )

    def _calls_of(self, agent: Span | None) -> list[Span]:
        own = agent["span_id"] if agent else None
        return [s for s in self.spans if s["kind"] == "llm" and s["parent_id"] == own]

    def _note(self, step: Step) -> None:
        self._steps.append(step)
        if self.report is not None:
            self.report(step)

    def _stop(self, kind: Literal["llm", "tool", "agent"], name: str, why: str, depth: int) -> None:
        self._note(Step(kind, "stopped", name, why, depth))


def load_tools(path: str) -> dict[str, Callable[..., Any]]:
    """The public functions of a Python module, by name: the tools that may really run.

    Args:
        path: Dotted name of a module, or the path of a `.py` file.

    Raises:
        ConfigError: There is no such module, or it fails to load.
    """
    try:
        module = _load_file(Path(path)) if path.endswith(".py") else importlib.import_module(path)
    except Exception as error:
        raise ConfigError(f"cannot import the tools {path!r}: {error}") from error
    return {
        name: value
        for name, value in vars(module).items()
        if inspect.isroutine(value) and not name.startswith("_")
    }


def _load_file(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"tracelake_tools_{path.stem}", path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path} is no Python file")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def extended(
    api: str, body: dict[str, Any], blocks: list[Any], results: Sequence[tuple[Atom, str]]
) -> dict[str, Any]:
    """A body with an answer and the results of its tool calls added, ready to be sent.

    Raises:
        ConfigError: The format has no tool calls.
    """
    if api == "messages":
        given = [
            {"type": "tool_result", "tool_use_id": atom.id, "content": text}
            for atom, text in results
        ]
        added = [{"role": "assistant", "content": blocks}, {"role": "user", "content": given}]
        return {**body, "messages": [*array(body.get("messages")), *added]}
    if api == "chat":
        message = mapping(next(iter(objects(blocks)), {}).get("message"))
        tools = [
            {"role": "tool", "tool_call_id": atom.id, "content": text} for atom, text in results
        ]
        return {**body, "messages": [*array(body.get("messages")), message, *tools]}
    if api == "responses":
        asked = body.get("input")
        items = [{"role": "user", "content": asked}] if isinstance(asked, str) else array(asked)
        outputs = [
            {"type": "function_call_output", "call_id": atom.id, "output": text}
            for atom, text in results
        ]
        return {**body, "input": [*items, *blocks, *outputs]}
    raise ConfigError(f"a conversation of {api} cannot be continued")


def _body(span: Span) -> dict[str, Any]:
    parameters = {k: v for k, v in mapping(span["request"]).items() if k != "stream_options"}
    parameters["stream"] = False
    parameters.setdefault("model", span["model"])
    if _api(span) == "messages":
        parameters.setdefault("max_tokens", _MAX_TOKENS)
    return rebuild_body(
        _api(span), parameters, span["system"], span["messages"], span["tools"] or None
    )


def _api(span: Span) -> str:
    """The wire format of a call; where only its provider is known, that one's usual format."""
    api = mapping(span["attributes"]).get("api") or _USUAL.get(str(span.get("provider")))
    if not isinstance(api, str) or not span["messages"]:
        raise ConfigError(
            f"call {span['span_id']} was recorded without its wire format or its messages: "
            "it cannot be issued again"
        )
    return api


def _loaded(span: Span) -> Span:
    loaded = dict(span)
    for column in _JSON_COLUMNS:
        if isinstance(value := span.get(column), str):
            try:
                loaded[column] = json.loads(value)
            except ValueError:
                loaded[column] = value
    return loaded


def body_of(span: Span) -> dict[str, Any]:
    """What a recorded call asked, as the body to send again.

    Args:
        span: Row of the table `spans`, JSON columns as text or as values.

    Raises:
        ConfigError: It was recorded without its messages or format.
    """
    return _body(_loaded(span))


def api_of_span(span: Span) -> str:
    """The wire format in which a recorded call can be issued again.

    Raises:
        ConfigError: It was recorded without its messages or format.
    """
    return _api(_loaded(span))


def _name(span: Span) -> str:
    return str(span["agent_name"] or span["name"] or span["kind"])


def _tool_name(span: Span) -> str:
    return str(span["tool_name"] or span["name"])


def _tool_calls(api: str, blocks: list[Any]) -> list[Atom]:
    return [a for a in atoms_of([response_turn(api, blocks)]) if a.kind == "tool_call"]


def _text_of(api: str, blocks: list[Any]) -> str:
    atoms = atoms_of([response_turn(api, blocks)])
    return "\n".join(atom.text for atom in atoms if atom.kind == "text")


def _changed_leaves(before: Any, after: Any) -> list[tuple[str, str]]:
    """Texts that stand at the same place of two values and differ."""
    if isinstance(before, str) and isinstance(after, str):
        return [(before, after)] if before != after and len(before) >= _LEAF_MIN_CHARS else []
    if isinstance(before, dict) and isinstance(after, dict):
        old, new = mapping(before), mapping(after)
        return [pair for key in old if key in new for pair in _changed_leaves(old[key], new[key])]
    if isinstance(before, list) and isinstance(after, list):
        both = zip(array(before), array(after), strict=False)
        return [pair for old, new in both for pair in _changed_leaves(old, new)]
    return []


def _replaced(value: Any, pairs: Sequence[tuple[str, str]]) -> Any:
    if isinstance(value, str):
        for old, new in pairs:
            value = value.replace(old, new)
        return value
    if isinstance(value, list):
        return [_replaced(item, pairs) for item in array(value)]
    if isinstance(value, dict):
        return {key: _replaced(item, pairs) for key, item in mapping(value).items()}
    return value
