"""Results of the recorded run, for tools that must not run again in a replay.

A replay sets `TRACELAKE_REPLAY_TOOLS` in the program's environment: the address at which the
recorded results are asked for. They are told by name and arguments, each once, whichever process
or thread asks.

Invariants:
- Without that variable nothing happens but that results are recorded so that they can be given.
- In a replay a tool runs only where nothing can have been recorded of it: after the run took
  another way. Everything that is unclear raises `ToolNotReplayed`.
"""

from __future__ import annotations

import builtins
import http.client
import json
import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import urlsplit

from tracelake.errors import ToolNotReplayed

if TYPE_CHECKING:
    from collections.abc import Mapping

#: Where the control proxy of a replay gives recorded results; unset in an ordinary run.
ADDRESS = "TRACELAKE_REPLAY_TOOLS"
RUN_ID = "TRACELAKE_RUN_ID"
PATH = "/tools"
_TIMEOUT_S = 30.0


class Open(Protocol):
    """A span that is open."""

    def finish(self, **columns: Any) -> None:
        """Add what is known."""
        ...


@dataclass(frozen=True, slots=True)
class Recalled:
    """What a tool gave in the recorded run.

    Attributes:
        value: What it returned.
        error_type: Class of the exception that it raised instead, None when it returned.
        columns: Of the span that stands for the call now.
    """

    value: Any = None
    error_type: str | None = None
    error: str = ""
    columns: Mapping[str, Any] = field(default_factory=dict[str, Any])

    def give(self, scope: Mapping[str, Any]) -> Any:
        """Return or raise what the tool did.

        Args:
            scope: The tool's module, to find its own exception classes.
        """
        if self.error_type is None:
            return self.value
        kind = scope.get(self.error_type) or getattr(builtins, self.error_type, None)
        if isinstance(kind, type) and issubclass(kind, Exception):
            try:
                raised = kind(self.error)
            except TypeError:  # it wants other arguments
                raised = RuntimeError(f"{self.error_type}: {self.error}")
            raise raised
        raise RuntimeError(f"{self.error_type}: {self.error}")


def canonical(parameters: Any) -> str:
    """Arguments as text: equal for equal ones, whatever the order of their names."""
    return json.dumps(parameters, sort_keys=True, default=repr, ensure_ascii=False)


def kept(parameters: Any, result: Any) -> dict[str, Any]:
    """What a span keeps of a call so that its result can be given again."""
    try:
        is_plain = json.loads(json.dumps(result)) == result
    except (TypeError, ValueError, RecursionError):
        is_plain = False
    arguments = canonical(parameters)
    if is_plain and not isinstance(result, tuple):
        return {"replay": {"arguments": arguments, "value": result, "has_value": True}}
    return {"replay": {"arguments": arguments, "is_of": type(result).__name__}}


def nothing(_parameters: Any, _result: Any) -> dict[str, Any]:
    """What a span keeps of a call whose tool may run again."""
    return {}


def recall(span: Open, name: str, parameters: Any) -> Recalled | None:
    """What a call gave in the recorded run, noted in its span; None where it is to run.

    Raises:
        ToolNotReplayed: This is a replay, and the result is not to be had.
    """
    span.finish(replay={"arguments": canonical(parameters)})
    known = ask(name, parameters)
    if known is not None:
        span.finish(**known.columns)
    return known


def ask(name: str, parameters: Any) -> Recalled | None:
    """What a tool gave in the recorded run; None where it is to run.

    Raises:
        ToolNotReplayed: This is a replay, and the result is not to be had.
    """
    address = os.environ.get(ADDRESS)
    if not address:
        return None
    told = _post(address, {"name": name, "arguments": canonical(parameters)})
    outcome = told.get("outcome")
    if outcome == "run":
        return None
    if outcome != "recorded":
        raise ToolNotReplayed(f"{name}: {told.get('why') or 'the replay gave no answer'}")
    columns = {
        "match": told.get("match"),
        "source": "replay",
        "original_span_id": told.get("original_span_id"),
        "forked_from_trace_id": told.get("forked_from_trace_id"),
    }
    error_type = told.get("error_type")
    if error_type is not None:
        return Recalled(error_type=error_type, error=told.get("error") or "", columns=columns)
    value = told.get("value")
    return Recalled(value, columns={**columns, **kept(parameters, value), "result": value})


def _post(address: str, document: dict[str, Any]) -> dict[str, Any]:
    parts = urlsplit(address)
    # not urllib: a proxy that the environment names must not be asked
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=_TIMEOUT_S)
    try:
        headers = {
            "content-type": "application/json",
            "x-tracelake-run": os.environ.get(RUN_ID, ""),
        }
        connection.request("POST", PATH, json.dumps(document).encode(), headers)
        answer = connection.getresponse()
        text = answer.read()
        if answer.status != http.client.OK:
            raise ToolNotReplayed(f"the replay does not answer: status {answer.status}")
        return json.loads(text)
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise ToolNotReplayed(f"the replay cannot be asked: {error}") from error
    finally:
        connection.close()
