"""Files that a colleague exported or another program logged, read back as events of a lake.

    files_at(path) -> [Source]                  which files, and which format each is in
    load(lake, sources, now=…) -> [Imported]    check all of them, then append

    formats       the table of formats; a file's content chooses, not its name
    spans_parquet spans_jsonl   rows of `schema.SPANS`, as `tracelake export` writes them
    envelope      events, one a line, as writers append them
    interactions  calls, one a line, as Anton logs them
    calls_sqlite  calls in a database, as Anton's proxy keeps them
    calls         the trees that logs of calls were part of
    otlp_lines    requests of OpenTelemetry, one a line
    bundle        what a bundle holds besides its spans
    rows          one span as the events that fold to it
    columns       whether a Parquet file has the columns of a table
    lines         lines of JSON, bounded

Invariants:
- What is in a file is data: every value is checked before the first event is appended, so that a
  bad file is one error naming its line and changes nothing.
- Files are read as streams, once to check and once to append; never held in memory.
- Importing again changes nothing: ids are those of the file, or derived from its content.
"""

from tracelake.importers.formats import Source, files_at, together
from tracelake.importers.loading import Imported, load

__all__ = ["Imported", "Source", "files_at", "load", "together"]
