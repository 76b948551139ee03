"""The HTTP API, for scripts and other front ends; documented in `docs/http-api.md`.

Answers are JSON: columns as in the tables, JSON columns nested, times ISO 8601 with `Z`. An error
is `{"error": "one line: what and what to do"}` with a fitting status.

`app.data` is imported by the first request, not with this module: its caches are to belong to the
server's runtime, which starts after the routes are made.
"""

from __future__ import annotations

import functools
import json
from typing import TYPE_CHECKING, Any

from anyio import to_thread
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from app import service
from app.routes.guard import guarded
from app.routes.nodes import graph_nodes
from tracelake import schema
from tracelake.errors import ConfigError, LakeError, NotInLake, QueryError, TraceLakeError
from tracelake.query.jsonable import jsonable_row
from tracelake.query.traces import ORDERS, TraceFilter

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from starlette.requests import Request

LIMIT, LIMIT_MAX = 50, 500
BODY_MAX_BYTES = 32 * 1024 * 1024
_STATUS_OF: tuple[tuple[type[TraceLakeError], int], ...] = (
    (NotInLake, 404),
    (QueryError, 400),
    (ConfigError, 400),
    (LakeError, 503),
    (TraceLakeError, 502),
)


def _told(
    endpoint: Callable[[Request], Awaitable[dict[str, Any]]],
) -> Callable[[Request], Awaitable[Response]]:
    """A guarded endpoint whose answer is JSON and whose errors are statuses."""

    @functools.wraps(endpoint)
    async def answer(request: Request) -> Response:
        try:
            return JSONResponse(await endpoint(request))
        except TraceLakeError as error:
            status = next(status for kind, status in _STATUS_OF if isinstance(error, kind))
            return JSONResponse({"error": str(error)}, status_code=status)

    return guarded(answer)


@_told
async def list_traces(request: Request) -> dict[str, Any]:
    """`GET /api/traces`: traces that match the query, newest first."""
    from app import data

    params = {name: request.query_params.getlist(name) for name in request.query_params}
    params.pop("token", None)
    order = params.pop("order", ["newest"])[-1]
    if order not in ORDERS:
        raise QueryError(f"unknown order {order!r}: use {', '.join(ORDERS)}")
    limit = _number(params.pop("limit", [str(LIMIT)])[-1], "limit", least=1, most=LIMIT_MAX)
    page = _number(params.pop("page", ["1"])[-1], "page", least=1)
    wanted = TraceFilter.parse(params)
    found = await to_thread.run_sync(
        lambda: data.list_traces(wanted, order=order, page=page, page_size=limit)
    )
    return {
        "traces": [jsonable_row(row, schema.TRACES) for row in found.rows],
        "total": found.total,
        "page": page,
        "limit": limit,
    }


@_told
async def read_trace(request: Request) -> dict[str, Any]:
    """`GET /api/traces/{id}`: one trace, its spans and its graph."""
    from app import data, forks

    trace_id = request.path_params["trace_id"]
    trace, spans, checkpoints = await to_thread.run_sync(
        lambda: (
            data.read_trace(trace_id),
            data.read_whole_spans(trace_id),
            forks.checkpoints_by_span(trace_id),
        )
    )
    return {
        "trace": jsonable_row(trace, schema.TRACES),
        "spans": [jsonable_row(span, schema.SPANS) for span in spans],
        "nodes": graph_nodes(spans, checkpoints),
    }


@_told
async def execute_llm(request: Request) -> dict[str, Any]:
    """`POST /api/execute/llm`: send an edited call and compare its answer."""
    from app.routes.execute import execute

    return await to_thread.run_sync(execute, await _read_object(request))


@_told
async def start_replay(request: Request) -> dict[str, Any]:
    """`POST /api/replay/{span_id}`: run the program again from a step."""
    from app.routes.replay import replay

    wish = await _read_object(request)
    return await to_thread.run_sync(replay, request.path_params["span_id"], wish)


@_told
async def read_replay(request: Request) -> dict[str, Any]:
    """`GET /api/replay/{run_id}`: how far a fork is, and what it changed."""
    from app.routes.replay import fork_state

    return await to_thread.run_sync(fork_state, request.path_params["span_id"])


async def _read_object(request: Request) -> dict[str, Any]:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > BODY_MAX_BYTES:
            raise QueryError(f"the body is larger than {BODY_MAX_BYTES} bytes")
    try:
        wish = json.loads(bytes(body))
    except ValueError as error:
        raise QueryError(f"the body is not JSON: {error}") from error
    if not isinstance(wish, dict):
        raise QueryError("the body is not a JSON object")
    return wish


@_told
async def health(_request: Request) -> dict[str, Any]:
    """`GET /health`: whether app and collector serve, and the lake takes what they record."""

    def read() -> dict[str, Any]:
        try:
            relay = service.collector_health()
        except LakeError as error:
            return {"status": "degraded", "collector": None, "problem": str(error)}
        if relay is None:
            return {"status": "degraded", "collector": None, "problem": "no collector runs"}
        problem = service.ingest_problem()
        status = "ok" if problem is None else "degraded"
        return {"status": status, "collector": relay, "problem": problem}

    state = await to_thread.run_sync(read)
    return {**state, "version": service.app_version(), "lake": service.location().tables}


def _number(text: str, name: str, *, least: int, most: int | None = None) -> int:
    try:
        number = int(text)
    except ValueError as error:
        raise QueryError(f"{name} is a number, not {text!r}") from error
    if number < least or (most is not None and number > most):
        raise QueryError(f"{name} is from {least} to {most or 'any number'}")
    return number


routes = [
    Route("/health", health),
    Route("/api/traces", list_traces),
    Route("/api/traces/{trace_id}", read_trace),
    Route("/api/execute/llm", execute_llm, methods=["POST"]),
    Route("/api/replay/{span_id}", start_replay, methods=["POST"]),
    Route("/api/replay/{span_id}", read_replay),
]
