"""Where edits of a trace's calls are kept, so that deleting the trace takes them with it.

    FOLDER                      name of their folder, in the hot one
    prefix_of(trace_id)         what the names of a trace's files begin with
    forget(hot, trace_ids)      delete those of deleted traces

The Playground writes them: see `tracelake.playground.drafts`.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Final

from tracelake.storage.files import remove

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

FOLDER: Final = "drafts"


def prefix_of(trace_id: str) -> str:
    """What the names of a trace's files begin with: ids may be too long for a file's name."""
    return f"{hashlib.blake2b(trace_id.encode(), digest_size=10).hexdigest()}-"


def forget(hot: Path, trace_ids: Iterable[str]) -> None:
    """Delete the edits of calls of deleted traces.

    Raises:
        OSError: A file cannot be deleted.
    """
    files = list((hot / FOLDER).glob("*-*.json"))
    if files:
        deleted = {prefix_of(trace_id) for trace_id in trace_ids}
        for file in files:
            if f"{file.name.partition('-')[0]}-" in deleted:
                remove(file)
