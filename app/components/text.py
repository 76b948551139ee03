"""Numbers and times as people read them; unknown is a dash, never a zero."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

DASH = "—"
#: Glyph of a status where colour cannot be had.
STATUS_MARK = {"running": "◌", "ok": "●", "error": "▲", "cancelled": "■", "lost": "?"}
#: What a status is called wherever people read it.
STATUS_WORD = {
    "running": "running",
    "ok": "done",
    "error": "failed",
    "cancelled": "cancelled",
    "lost": "lost",
}
#: Name of the theme colour of a status, as Streamlit's markdown knows it.
STATUS_COLOUR = {
    "running": "blue",
    "ok": "green",
    "error": "red",
    "cancelled": "gray",
    "lost": "orange",
}


def cost(usd: float | None) -> str:
    """US dollars with as many digits as they are worth, for example `$1.23` or `$0.00042`."""
    if usd is None:
        return DASH
    if usd == 0 or usd >= 100:
        return f"${usd:,.0f}"
    if usd >= 0.01:
        return f"${usd:.2f}" if usd >= 1 else f"${usd:.3f}"
    return "<$0.00001" if usd < 0.00001 else f"${usd:.5f}".rstrip("0")


def duration(ms: float | None) -> str:
    """Milliseconds as `840 ms`, `12.3 s`, `4 min 05 s` or `2 h 10 min`."""
    if ms is None:
        return DASH
    if ms < 1000:
        return f"{ms:.0f} ms"
    seconds = ms / 1000
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    return f"{minutes // 60} h {minutes % 60:02d} min"


def count(number: float | None) -> str:
    """A count as `950`, `12.3k`, `4.56M` or `1.22B`."""
    if number is None:
        return DASH
    if number < 10_000:
        return f"{number:,.0f}"
    # from where they are rounded to a thousand of the unit before
    if number < 999_950:
        return f"{number / 1e3:.1f}k"
    return f"{number / 1e6:.2f}M" if number < 999_995_000 else f"{number / 1e9:,.2f}B"


def size(size_bytes: float | None) -> str:
    """Bytes as `12 kB`, `3.4 MB` or `1.2 GB`."""
    if size_bytes is None:
        return DASH
    value = float(size_bytes)
    for unit in ("B", "kB", "MB", "GB"):
        if value < 1000:
            return f"{value:.0f} {unit}" if unit == "B" or value >= 100 else f"{value:.1f} {unit}"
        value /= 1000
    return f"{value:.1f} TB"


def moment(at: datetime | None) -> str:
    """A time as `2026-11-22 10:04:31` UTC."""
    return DASH if at is None else at.strftime("%Y-%m-%d %H:%M:%S")


def clock(at: datetime | None) -> str:
    """A time as `22 Nov 10:04:31 UTC`."""
    return DASH if at is None else f"{at:%d %b %H:%M:%S} UTC"


def plural(number: int, noun: str) -> str:
    """`1 trace`, `2 traces`."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def first_line(text: str | None, limit: int = 120) -> str:
    """Text on one line, cut with an ellipsis."""
    joined = " ".join((text or "").split())
    return joined if len(joined) <= limit else f"{joined[: limit - 1]}…"


def plain(text: str) -> str:
    """Text that Markdown shows as it is."""
    return "".join(f"\\{c}" if c in r"\`*_{}[]()#+-.!|~:$<>" else c for c in text)
