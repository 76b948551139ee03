"""For all tests: how Hypothesis judges time, names of cases, and the figures that tests found.

A slow machine is no wrong answer, so no example has a deadline. Whether a change may land must not
hang on chance: each run tries the same examples, and others with `TRACELAKE_EXPLORE=1`.

Figures are told after all tests, by workers of a parallel run too.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings

if TYPE_CHECKING:
    from collections.abc import Callable

_PROPERTY = "figures"

settings.register_profile(
    "any machine",
    deadline=None,
    derandomize=not os.environ.get("TRACELAKE_EXPLORE"),
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("any machine")


def pytest_make_parametrize_id(val: object) -> str | None:
    """Names all bytes alike: compressed ones hold the time and differ between processes."""
    return "bytes" if isinstance(val, bytes) else None


@pytest.fixture
def figures(record_property: Callable[[str, object], None]) -> Callable[[str], None]:
    """Takes text, of one line or many, that stands in the summary under the test's name."""
    return lambda text: record_property(_PROPERTY, text)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print what the tests handed to `figures`, in their order."""
    reports = [
        report
        for group in terminalreporter.stats.values()
        for report in group
        if isinstance(report, pytest.TestReport) and report.when == "call"
    ]
    told = [
        (report.nodeid, str(text))
        for report in reports
        for name, text in report.user_properties
        if name == _PROPERTY
    ]
    if not told:
        return
    terminalreporter.section("figures")
    for nodeid, text in sorted(told):
        terminalreporter.write_line(nodeid, bold=True)
        for line in text.splitlines():
            terminalreporter.write_line(f"  {line}".rstrip())
