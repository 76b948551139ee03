"""Opening files: what a colleague exported, or another program logged."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from app import imports, state
from app.components import text
from tracelake.errors import TraceLakeError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from streamlit.runtime.uploaded_file_manager import UploadedFile

_ROUND = "_import_round"
_TOLD = "_import_told"
_FAILED = "_import_failed"


def render_import() -> None:
    """A button that opens a place to drop files into; they are read as soon as they are there."""
    _tell()
    # another round has an empty place, whatever was dropped into the last one
    number = state.get(_ROUND, 0)
    with st.popover(
        "Open files",
        icon=":material/upload_file:",
        width="content",
        key=f"import-{number}",
    ):
        st.caption(
            "What was exported here or by a colleague (Parquet or JSONL), event logs, "
            "OpenTelemetry as JSON, or Anton's own logs and database. Opening a file again changes "
            "nothing."
        )
        said = st.container()  # below the files it would be cut off
        files = st.file_uploader(
            "Files",
            type=list(imports.SUFFIXES),
            accept_multiple_files=True,
            key=f"import-files-{number}",
            label_visibility="collapsed",
        )
        if files:
            with said:
                _import(files)


def _import(files: Sequence[UploadedFile]) -> None:
    given = [file.file_id for file in files]
    failed = state.get(_FAILED)
    if failed and failed[0] == given:  # they stay until they are taken away
        st.error(failed[1])
        return
    bar = st.progress(0.0, "Reading…")

    def progress(what: str, share: float | None) -> None:
        bar.progress(share or 0.0, text.plain(f"{what[:1].upper()}{what[1:]}…"))

    try:
        imported = imports.import_files(files, progress=progress)
    except TraceLakeError as error:
        bar.empty()
        said = text.plain(f"{error}.")  # it begins with the file's name
        state.put(_FAILED, (given, said))
        st.error(said)
        return
    traces = sum(one.traces for one in imported)
    spans = sum(one.spans for one in imported)
    deleted = sum(one.deleted for one in imported)
    told = f"Opened {text.plural(traces, 'trace')} with {text.plural(spans, 'span')}."
    if deleted:
        told += f" Left out {text.plural(deleted, 'trace')} deleted within the last day."
    state.put(_TOLD, told)
    state.put(_ROUND, state.get(_ROUND, 0) + 1)
    st.rerun()


def _tell() -> None:
    told = state.get(_TOLD)
    if told:
        state.drop(_TOLD)
        st.toast(told, icon=":material/check_circle:")
