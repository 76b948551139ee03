"""What leaves a lake as a file for a colleague.

    Selection(wanted, trace_ids)                    which traces
    spans_of(lake, selection) -> DataFrame          their spans
    write_bundle(lake, spans, file) -> rows         Parquet, and what else belongs to the traces
    write_lines(spans, file)                        a JSON object a span
    write_page(spans, file)                         HTML that opens in any browser

Invariant: `tracelake.importers` reads bundles and lines back, and gives the same lake.
"""

from tracelake.exporters.bundle import write_bundle
from tracelake.exporters.lines import write_lines
from tracelake.exporters.page import TRACES_MAX, write_page
from tracelake.exporters.selection import Selection, spans_of

__all__ = ["TRACES_MAX", "Selection", "spans_of", "write_bundle", "write_lines", "write_page"]
