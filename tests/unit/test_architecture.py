"""The house rules that a reader would otherwise have to trust."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "tracelake"

#: Rooms from the bottom up; a room imports only from rooms below it (rooms of one level: neither).
LEVELS: tuple[tuple[str, ...], ...] = (
    ("errors",),
    ("config", "model", "processes", "recall"),
    ("schema",),
    ("storage",),
    ("lake", "redaction"),
    ("query", "tracer", "testing"),
    ("wire",),
    ("instrumentation", "infer", "graph", "layout", "playground"),
    ("relay", "otlp"),
    ("importers", "exporters"),
    ("ingest", "control"),
    ("replay",),
    ("demo",),
    ("cli",),
)
LEVEL = {room: level for level, rooms in enumerate(LEVELS) for room in rooms}


def _modules() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def _room(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def _imports(path: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.add(node.module)
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


@pytest.mark.parametrize("path", _modules(), ids=lambda p: str(p.relative_to(ROOT)))
def test_imports_point_downwards(path: Path) -> None:
    """A module imports only from rooms below its own, so that no cycle can grow."""
    room = _room(path)
    if room == "__init__":
        return
    assert room in LEVEL, f"{room} has no place in LEVELS"
    for name in _imports(path):
        parts = name.split(".")
        if parts[0] != "tracelake" or len(parts) == 1:
            continue
        other = parts[1]
        if other == room or other not in LEVEL:
            continue
        same_level_pair = {room, other} == {"graph", "layout"}
        assert LEVEL[other] < LEVEL[room] or same_level_pair, f"{room} imports {name}"


def test_the_library_never_imports_the_ui() -> None:
    """`tracelake` works without Streamlit and knows nothing of the app."""
    for path in _modules():
        top = {name.split(".")[0] for name in _imports(path)}
        assert not top & {"streamlit", "app", "pages"}, path


def test_pages_are_thin() -> None:
    """A page asks `app.data`; it never touches a data frame library or the lake itself."""
    for path in sorted((ROOT / "pages").glob("*.py")):
        names = _imports(path)
        assert not {name.split(".")[0] for name in names} & {"polars", "pyarrow"}, path
        assert "tracelake.lake" not in names, path


def test_one_module_replaces_files() -> None:
    """Atomic replacement has one home."""
    users = [
        path.relative_to(PACKAGE).as_posix()
        for path in _modules()
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Attribute)
        and node.attr == "replace"
        and isinstance(node.value, ast.Name)
        and node.value.id == "os"
    ]
    assert set(users) <= {"storage/files.py"}


def test_modules_stay_readable() -> None:
    """No module outgrows 400 lines; a bigger one is split by responsibility."""
    folders = (PACKAGE, ROOT / "app", ROOT / "pages")
    long = {
        str(path.relative_to(ROOT)): lines
        for folder in folders
        for path in folder.rglob("*.py")
        if "node_modules" not in path.parts and (lines := len(path.read_text().splitlines())) > 400
    }
    assert not long


@pytest.mark.parametrize(
    "name", ["tracelake", "tracelake.tracer", "tracelake.instrumentation", "tracelake.relay"]
)
def test_import_stays_light(name: str) -> None:
    """A traced program and the relay pay for no data-frame library, no UI and no Delta."""
    heavy = ("polars", "pyarrow", "deltalake", "streamlit", "pandas", "numpy")
    code = (
        f"import {name}, sys; print([m for m in {heavy!r} if m in sys.modules])"
        if name != "tracelake"
        else f"import tracelake, sys; tracelake.Tracer; tracelake.Lake; "
        f"print([m for m in {heavy!r} if m in sys.modules])"
    )
    out = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert out.stdout.strip() == "[]"
