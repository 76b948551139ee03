"""The README is true: its snippets run, its commands and targets exist."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from tracelake.cli.main import build_parser

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text()


def _blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


def test_python_snippets_run_in_order(tmp_path: Path) -> None:
    """What a reader pastes works, the later snippet on the lake of the earlier one."""
    first, second = _blocks("python")
    ran = subprocess.run(
        [sys.executable, "-c", first], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stderr
    assert "list_files" in ran.stdout
    seal = [sys.executable, "-m", "tracelake.cli", "seal", "--lake", "my-lake"]
    subprocess.run(seal, cwd=tmp_path, check=True, capture_output=True)
    code = f"{second}\nprint(pl.scan_delta('my-lake/spans').collect().height)"
    ran = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert ran.stdout.strip() == "2", ran.stderr


def test_commands_and_targets_exist() -> None:
    """Every `tracelake …` and `make …` of the README can be typed."""
    parser = build_parser()
    known = set(next(a for a in parser._actions if a.dest == "command").choices or ())
    assert set(re.findall(r"\btracelake ([a-z]+)", README)) <= known
    makefile = (ROOT / "Makefile").read_text()
    for target in re.findall(r"\bmake ([a-z]+)", README):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target


def test_links_lead_somewhere() -> None:
    """Relative links point at files that are there."""
    for link in re.findall(r"\]\((?!http)([^)#]+)\)", README):
        assert (ROOT / link).exists(), link
