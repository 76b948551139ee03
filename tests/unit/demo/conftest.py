"""One offline provider for every test that only asks it something."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anthropic
import openai
import pytest

from tracelake.demo.launch import RunningProvider, running_provider

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session")
def provider() -> Iterator[RunningProvider]:
    """The offline provider without pauses, shared by the whole session."""
    with running_provider(pace=0) as running:
        yield running


@pytest.fixture
def claude(provider: RunningProvider) -> Iterator[anthropic.Anthropic]:
    """Anthropic's SDK, pointed at the offline provider."""
    with anthropic.Anthropic(
        api_key="none", base_url=provider.anthropic_base_url, max_retries=0
    ) as client:
        yield client


@pytest.fixture
def gpt(provider: RunningProvider) -> Iterator[openai.OpenAI]:
    """OpenAI's SDK, pointed at the offline provider."""
    with openai.OpenAI(api_key="none", base_url=provider.openai_base_url, max_retries=0) as client:
        yield client
