"""Fixtures of the browser tests of the Live page."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.e2e.browser import last_looks, look_at, open_browser, open_pages
from tests.e2e.live_support import Run, serve
from tracelake.lake import Lake

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    from playwright.sync_api import Page


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Say of a failed test what its browser showed."""
    del item
    report = yield
    if report.failed and call.when == "call":
        looks = [*last_looks, *(look_at(page) for page in open_pages)]
        report.sections += [("browser", look) for look in looks]
    last_looks.clear()
    return report


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
