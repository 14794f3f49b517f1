"""The doctor's trial as Markdown: how many harms were found and rightly named, and how often a healthy set was not."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, get_args

from engine.diagnosis import Ailment

Row = dict[str, Any]


def table(rows: Sequence[Row]) -> str:
    """Return one table for each half: a line a harm, and one for all of them and for healthy sets."""
    halves = list(dict.fromkeys(row["half"] for row in rows))
    return "\n\n".join(f"## {half}\n\n{_half([row for row in rows if row['half'] == half])}" for half in halves)


def _half(rows: Sequence[Row]) -> str:
    lines = [
        "| harm | sets | found and named | something found | found beside it |",
        "| --- | ---: | ---: | ---: | ---: |",
    ]
    ill = [row for row in rows if row["harm"] is not None]
    for harm in get_args(Ailment):
        lines.append(_line(harm, [row for row in ill if row["harm"] == harm]))
    lines.append(_line("**all harms**", ill))
    healthy = [row for row in rows if row["harm"] is None]
    alarms = sum(bool(row["found"]) for row in healthy)
    lines.append(f"| **healthy sets** | {len(healthy)} | | {_share(alarms, len(healthy))} | |")
    slowest = max(row["seconds"] for row in rows)
    return "\n".join([*lines, "", f"The slowest visit took {slowest:.1f} s."])


def _line(name: str, rows: Sequence[Row]) -> str:
    named = sum(row["harm"] in row["found"] for row in rows)
    any_found = sum(bool(row["found"]) for row in rows)
    more = sum(bool(set(row["found"]) - {row["harm"]}) for row in rows)
    count = len(rows)
    return f"| {name} | {count} | {_share(named, count)} | {_share(any_found, count)} | {_share(more, count)} |"


def _share(part: int, whole: int) -> str:
    return f"{part} ({100 * part / whole:.1f} %)" if whole else "0"
