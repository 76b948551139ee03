"""The HTTP API, for scripts and other front ends."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from app import service
from app.routes.guard import guarded

if TYPE_CHECKING:
    from starlette.requests import Request


@guarded
async def health(_request: Request) -> Response:
    """Whether the app serves and which version it is."""
    return JSONResponse({"status": "ok", "version": service.app_version()})


routes = [Route("/health", health)]
