"""Files given to a page, read into the lake."""

from __future__ import annotations

import re
import shutil
import tempfile
from pathlib import Path
from typing import IO, TYPE_CHECKING

from app import service
from tracelake.errors import ImportFailed
from tracelake.importers import Imported, files_at, load, together
from tracelake.model import utc_now

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

#: How files that can be read are called.
SUFFIXES = ("parquet", "jsonl", "json", "db", "sqlite")


def import_files(
    files: Sequence[IO[bytes]], *, progress: Callable[[str, float | None], None]
) -> list[Imported]:
    """Import uploaded files: all of them or, if one is bad, none.

    Args:
        files: With a `name`, as `st.file_uploader` gives them.
        progress: Told what is done and how much of it is, from 0 to 1, None where not known.

    Raises:
        ImportFailed: One is bad; the lake is as it was.
        LakeError: The lake could not be written; importing again goes on.
    """
    with tempfile.TemporaryDirectory(prefix="tracelake-import-") as folder:
        copies = re.compile(rf"{re.escape(folder)}/\d+/")  # a file is called what it was called

        def tell(what: str, done: int, total: int | None) -> None:
            progress(copies.sub("", what), min(done / total, 1.0) if total else None)

        try:
            sources = together(
                source
                for number, file in enumerate(files)
                for source in files_at(_copied(file, Path(folder, str(number))))
            )
            return load(service.lake(), sources, now=utc_now(), progress=tell)
        except ImportFailed as error:
            raise ImportFailed(copies.sub("", str(error))) from error


def _copied(file: IO[bytes], folder: Path) -> Path:
    folder.mkdir()
    path = folder / (Path(file.name).name or "file")
    with path.open("wb") as copy:
        shutil.copyfileobj(file, copy)
    return path
