"""A comparison as one HTML page without any reference to elsewhere.

Invariant: text from traces is escaped wherever it stands.
"""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tracelake.playground.compare import Delta
    from tracelake.replay.compare import Comparison, Row

_STYLE = """
:root { color-scheme: light dark; font: 14px/1.5 system-ui, sans-serif; }
body { margin: 2rem auto; max-width: 72rem; padding: 0 1rem; }
table { border-collapse: collapse; width: 100%; margin: 1rem 0; }
th, td { text-align: left; padding: .25rem .6rem; vertical-align: top; }
th, td { border-bottom: 1px solid #8884; }
td.n { text-align: right; font-variant-numeric: tabular-nums; }
code, pre { font-family: ui-monospace, monospace; font-size: 12px; }
pre { white-space: pre-wrap; border: 1px solid #8884; border-radius: 6px; padding: .8rem; }
ins { background: #2da44e33; text-decoration: none; } del { background: #cf222e33; }
.same { opacity: .6; } .changed .s { color: #9a6700; } .only_before .s { color: #cf222e; }
.only_after .s { color: #2da44e; } .t { color: #8889; }
"""
_TAGS = {"same": ("", ""), "removed": ("<del>", "</del>"), "added": ("<ins>", "</ins>")}
_STATUS = {
    "same": "same",
    "changed": "changed",
    "only_before": "only before",
    "only_after": "only after",
}


def render_page(comparison: Comparison) -> str:
    """The page as text."""
    counts = ", ".join(f"{n} {_STATUS[status]}" for status, n in comparison.counts.items())
    matches = ", ".join(f"{n} {level}" for level, n in comparison.matches.items())
    output = "".join(
        f"{_TAGS[chunk.op][0]}{escape(chunk.text)}{_TAGS[chunk.op][1]}"
        for chunk in comparison.output
    )
    totals = "".join(map(_total, comparison.totals))
    rows = "".join(map(_row, comparison.rows))
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Trace comparison</title>
<style>{_STYLE}</style></head><body>
<h1>Trace comparison</h1>
<p><code>{escape(comparison.before_trace)}</code> →
<code>{escape(comparison.after_trace)}</code><br>
Spans: {escape(counts)}{"; calls: " + escape(matches) if matches else ""}</p>
<table><tr><th></th><th>before</th><th>after</th><th>change</th></tr>{totals}</table>
<h2>Final output</h2><pre>{output or "no output"}</pre>
<h2>Execution</h2>
<table><tr><th>status</th><th>span</th><th>match</th><th>tokens</th><th>cost</th><th>before</th>
<th>after</th></tr>{rows}</table>
</body></html>"""


def _total(delta: Delta) -> str:
    cells = "".join(
        f'<td class="n">{_number(value)}</td>'
        for value in (delta.before, delta.after, delta.change)
    )
    return f"<tr><td>{escape(delta.name)}</td>{cells}</tr>"


def _row(row: Row) -> str:
    numbers = {delta.name: delta.change for delta in row.deltas}
    differs = f" <span class=t>({escape(', '.join(row.parts))})</span>" if row.parts else ""
    indent = f"padding-left: {0.6 + 1.2 * row.depth:.1f}rem"
    return (
        f'<tr class="{row.status}"><td class="s">{_STATUS[row.status]}{differs}</td>'
        f'<td style="{indent}"><span class=t>{escape(row.kind)}</span> {escape(row.name)}</td>'
        f"<td>{escape(row.match or '')}</td>"
        f'<td class="n">{_number(numbers["tokens_output"])}</td>'
        f'<td class="n">{_number(numbers["cost_usd"])}</td>'
        f"<td>{escape(row.before_text)}</td><td>{escape(row.after_text)}</td></tr>\n"
    )


def _number(value: float | None) -> str:
    return "—" if value is None else f"{value:g}" if isinstance(value, int) else f"{value:.4g}"
