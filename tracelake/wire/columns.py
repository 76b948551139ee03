"""A call as columns of `spans`, whoever recorded it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tracelake.wire.call import Request, Response


def request_columns(request: Request) -> dict[str, Any]:
    """What is known once a call was asked; None for what it does not say."""
    return {
        "name": request.model or request.api,
        "provider": request.provider,
        "model": request.model,
        "request": request.parameters,
        "system": request.system or None,
        "messages": request.messages,
        "tools": request.tools,
    }


def response_columns(response: Response) -> dict[str, Any]:
    """What is known once a call was answered; None for what nobody said."""
    usage = response.usage
    return {
        "model": response.model,
        "response": response.text,
        "response_blocks": response.blocks or None,
        "finish_reason": response.finish_reason,
        "error_type": response.error_type,
        "error": response.error,
        "tokens_input": usage.input,
        "tokens_output": usage.output,
        "tokens_cache_read": usage.cache_read,
        "tokens_cache_write": usage.cache_write,
        "tokens_reasoning": usage.reasoning,
        "cost_usd": response.cost_usd,
        "cost_note": response.cost_note,
    }
