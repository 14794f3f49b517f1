"""How numbers, sizes and moments read on a page; each keeps its exact value in the markup beside its rounded text."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from markupsafe import Markup


def exact(value: float, text: str) -> Markup:
    """Return the text with its unrounded value as the machine-readable one."""
    return Markup('<data value="{}">{}</data>').format(repr(value), text)


def significant(value: float, digits: int = 3) -> str:
    """Round to so many significant digits: 0.012345 reads 0.0123, 12345 reads 12,345 and 0.00000005 reads 5e-08."""
    if value == 0:
        return "0"
    if abs(value) >= 10 ** (digits - 1):
        return f"{value:,.0f}"
    return f"{value:.{digits}g}"


def milliseconds(value: float) -> str:
    return f"{significant(value)} ms"


def percent(share: float) -> str:
    """0.8243 reads 82.4 %."""
    return f"{100 * share:.1f} %"


def count(value: float) -> str:
    """853018 reads 853 k; three significant digits and a letter."""
    for size, letter in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= size:
            return f"{significant(value / size)} {letter}"
    return f"{value:,.0f}"


def size(size_bytes: float) -> str:
    """3420000 reads 3.42 MB; decimal units, as disks and networks count."""
    return f"{count(size_bytes)}B" if size_bytes >= 1000 else f"{size_bytes:.0f} B"


def duration(seconds: float) -> str:
    """73.4 reads 1 min 13 s; below a minute one decimal where it matters."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours < 48 else f"{hours / 24:.0f} days"


def ago(at: datetime, now: datetime) -> str:
    """Say how long ago a moment was, in one unit."""
    seconds = (now - at).total_seconds()
    if seconds < 5:
        return "just now"
    for unit_seconds, unit in ((86_400, "d"), (3600, "h"), (60, "min"), (1, "s")):
        if seconds >= unit_seconds:
            return f"{seconds // unit_seconds:.0f} {unit} ago"
    return "just now"


def moment(at: datetime | None, now: datetime | None = None) -> Markup:
    """Return a moment as relative text; its title and its machine-readable form are absolute."""
    if at is None:
        return Markup('<span class="none">not yet</span>')
    return Markup('<time datetime="{}" title="{:%Y-%m-%d %H:%M:%S} UTC">{}</time>').format(
        at.isoformat(timespec="seconds"), at, ago(at, now or datetime.now(UTC))
    )


def change(original: float, delivered: float) -> str:
    """Say the relative change: 10 to 7 reads minus 30.0 %."""
    if original == 0:
        return "\N{EN DASH}"
    return _signed(100 * (delivered / original - 1), "%")


def change_of_share(original: float, delivered: float) -> str:
    """Say the change of a share in points: 0.824 to 0.813 reads minus 1.1 points."""
    return _signed(100 * (delivered - original), "points")


def _signed(value: float, unit: str) -> str:
    sign = "\N{MINUS SIGN}" if round(value, 1) < 0 else "+" if round(value, 1) > 0 else ""
    return f"{sign}{abs(value):.1f} {unit}"


def pretty(value: object) -> str:
    """Return JSON as a person would write it."""
    return json.dumps(value, indent=2, ensure_ascii=False)


FILTERS: dict[str, Callable[..., Any]] = {
    "pretty": pretty,
    "milliseconds": lambda value: exact(value, milliseconds(value)),
    "percent": lambda value: exact(value, percent(value)),
    "count": lambda value: exact(value, count(value)),
    "size": lambda value: exact(value, size(value)),
    "duration": lambda value: exact(value, duration(value)),
    "number": lambda value: exact(value, significant(value)),
    "moment": moment,
}
