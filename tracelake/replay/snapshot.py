"""The files of a working directory before a run, packed small enough to be kept with its record.

Under git the commit and the patch are kept anyway, so only untracked files are packed; elsewhere
all files are. Without this a fork would start from what the first run left behind.

Invariants:
- Files that may hold credentials are named, never packed; a fork takes them from the directory.
- A directory too large to be packed gives nothing, rather than half of it.
"""

from __future__ import annotations

import io
import json
import re
import shutil
import zipfile
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from tracelake.replay.tree import is_lake, walk

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

FILES_MAX = 2_000
#: Of one file, and of all together before compression.
FILE_MAX_BYTES = 1_000_000
TOTAL_MAX_BYTES = 20_000_000
PACKED_MAX_BYTES = 5_000_000
_MANIFEST = ".tracelake-files.json"
_CREDENTIALS = re.compile(
    r"\.env(?:\..*)?|.*\.(?:pem|key|p12|pfx|jks|kdbx)|id_[a-z0-9]+|\.netrc|\.npmrc|\.pypirc"
    r"|.*(?:secret|credential|password|token).*|\.git-credentials",
    re.IGNORECASE,
)


def pack(
    root: Path,
    names: Iterable[str] | None = None,
    *,
    is_secret: Callable[[str], bool] | None = None,
    total_max_bytes: int = TOTAL_MAX_BYTES,
) -> bytes | None:
    """A zip of the files below a folder, with the list of all their names.

    Args:
        root: The folder.
        names: Only these files, relative; None takes all.
        is_secret: Tells of a file's text that it must not be kept; the file is then only named.
        total_max_bytes: Of all files together, before compression.

    Returns:
        The zip, or None when there are too many or too large files, or the folder is a home.
    """
    if names is None and root.resolve() in {Path.home().resolve(), Path(root.anchor)}:
        return None
    paths = walk(root) if names is None else _named(root, names)
    manifest: list[str] = []
    total = 0
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as packed:
        for path in paths:
            name = path.relative_to(root).as_posix()
            manifest.append(name)
            if len(manifest) > FILES_MAX:
                return None
            if _CREDENTIALS.fullmatch(path.name):
                continue
            try:
                content = path.read_bytes() if path.stat().st_size <= FILE_MAX_BYTES else None
            except OSError:
                continue  # gone, or not ours to read
            if content is None or (is_secret and is_secret(content.decode("utf-8", "replace"))):
                continue
            total += len(content)
            if total > total_max_bytes:
                return None
            info = zipfile.ZipInfo(name)
            info.external_attr = (path.stat().st_mode & 0xFFFF) << 16
            info.compress_type = zipfile.ZIP_DEFLATED
            packed.writestr(info, content)
        packed.writestr(_MANIFEST, json.dumps(manifest))
    data = buffer.getvalue()
    return data if len(data) <= PACKED_MAX_BYTES else None


def unpack(data: bytes, target: Path, *, present: Path) -> list[str]:
    """Lay out packed files; what was only named is copied from the folder as it is now.

    Args:
        data: What `pack` gave.
        target: Where to; existing files are replaced.
        present: The recorded folder.

    Returns:
        Names of files that are neither packed nor present any more.
    """
    missing: list[str] = []
    with zipfile.ZipFile(io.BytesIO(data)) as packed:
        held = {info.filename: info for info in packed.infolist()}
        names: list[str] = json.loads(packed.read(_MANIFEST))
        for name in names:
            if not _is_inside(name):
                continue
            path = target / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if name in held:
                path.write_bytes(packed.read(name))
                if mode := held[name].external_attr >> 16 & 0o777:
                    path.chmod(mode)
            elif (present / name).is_file():
                shutil.copy2(present / name, path)
            else:
                missing.append(name)
    return missing


def _named(root: Path, names: Iterable[str]) -> Iterator[Path]:
    for name in names:
        path = root / name
        inner = list(path.relative_to(root).parents)[:-1]
        if path.is_file() and not path.is_symlink() and not any(is_lake(root / p) for p in inner):
            yield path


def _is_inside(name: str) -> bool:
    """Whether a name stays below the folder: a record may come from somebody else."""
    path = PurePosixPath(name)
    return not path.is_absolute() and ".." not in path.parts
