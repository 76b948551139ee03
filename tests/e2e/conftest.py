"""Fixtures of the browser tests of the Live page."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.e2e.browser import open_browser
from tests.e2e.live_support import Run, serve
from tracelake.lake import Lake

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Page


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Lake, str]]:
    """An app on a lake of its own."""
    path = tmp_path_factory.mktemp("live") / "lake"
    with Lake(path) as lake:
        Run(lake, "first").call("c")
        with serve(path) as base:
            yield lake, base


@pytest.fixture
def page() -> Iterator[Page]:
    """A page of its own for each test."""
    with open_browser(viewport={"width": 1280, "height": 800}) as page:
        yield page
