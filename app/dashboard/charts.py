"""Pictures of a report, drawn on the server as SVG; none shows a number that is not in the report.

Colours are classes of the stylesheet, so that dark pages and print follow; every mark carries its meaning as a title.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from markupsafe import Markup

from app.dashboard.formats import duration, milliseconds, percent, significant
from app.dashboard.svg import across, picture, tag
from engine.report import DataUse, Interval, Latency, LatencyComparison, Recovery, Stage, UnitDecision

WIDEST_UNIT = 0.06  # of the picture: three units should not become three walls


def latency_bars(latency: LatencyComparison) -> Markup:
    """Draw p50 as a bar and p95 as the end of a whisker, for both networks on one scale."""
    longest = max(latency.original.latency_ms_p95, latency.delivered.latency_ms_p95) * 1.005
    rows = [("Original", "original", latency.original), ("Delivered", "delivered", latency.delivered)]
    marks = [_latency_row(46 * place, *row, longest) for place, row in enumerate(rows)]
    return picture("Latency of the original and of the delivered network", 90, *marks)


def _latency_row(top: int, label: str, css_class: str, timed: Latency, longest: float) -> Markup:
    p50, p95 = timed.latency_ms_p50 / longest, timed.latency_ms_p95 / longest
    said = f"p50 {milliseconds(timed.latency_ms_p50)}, p95 {milliseconds(timed.latency_ms_p95)}"
    middle = top + 29
    return tag(
        "g",
        tag("title", f"{label}: {said}, {timed.samples} timed runs"),
        tag("text", label, x=0, y=top + 14, class_="name"),
        tag("text", said, x="100%", y=top + 14, class_="value"),
        tag("rect", x=0, y=top + 22, width=across(p50), height=14, class_=css_class),
        _whisker(p50, p95, middle),
    )


class Mark(NamedTuple):
    """A place on a scale and what stands there."""

    at: float
    label: str


def ratio_scale(ratio: Interval, target: Mark | None) -> Markup:
    """Draw the measured ratio and its interval on a scale from 0, with 'as fast as before' and the target marked."""
    end = 1.08 * max(1.0, ratio.high, target.at if target else 0.0)
    marks = [
        tag("line", x1=0, x2="100%", y1=34, y2=34, class_="axis"),
        _tick(1.0 / end, "1, as fast as before", 2, "parity"),
    ]
    if target is not None:
        marks.append(_tick(target.at / end, target.label, 1, "target"))
    said = f"{significant(ratio.value)} ({significant(ratio.low)} to {significant(ratio.high)})"
    marks += [
        tag("text", said, x=across(ratio.value / end), y=14, class_="value middle"),
        tag("line", x1=across(ratio.low / end), x2=across(ratio.high / end), y1=34, y2=34, class_="interval"),
        tag("circle", cx=across(ratio.value / end), cy=34, r=3, class_="delivered"),
    ]
    return picture(f"Latency ratio, delivered over original: {said}", 82, *marks)


def _tick(at: float, label: str, line: int, css_class: str) -> Markup:
    """Draw a tick with its label on one of two lines below the scale, so that two labels never meet."""
    return tag(
        "g",
        tag("line", x1=across(at), x2=across(at), y1=22, y2=46, class_=css_class),
        tag("text", label, x=across(at), y=46 + 15 * line, class_=f"{css_class} {_anchor(at)}"),
    )


def _anchor(at: float) -> str:
    """Keep a label inside the picture: near the right edge it ends at its tick."""
    return "end" if at > 0.75 else "middle" if at > 0.15 else "start"


def share_scale(rows: Sequence[tuple[str, str, Interval]]) -> Markup:
    """Draw shares between 0 and 1 with their intervals, one row a (label, class, interval)."""
    marks = [_share_row(40 * place, *row) for place, row in enumerate(rows)]
    label = "; ".join(f"{name}: {_interval(interval)}" for name, _, interval in rows)
    return picture(label, 40 * len(rows), *marks)


def _share_row(top: int, label: str, css_class: str, interval: Interval) -> Markup:
    return tag(
        "g",
        tag("title", f"{label}: {_interval(interval)}"),
        tag("text", label, x=0, y=top + 14, class_="name"),
        tag("text", _interval(interval), x="100%", y=top + 14, class_="value"),
        tag("rect", x=0, y=top + 25, width="100%", height=4, class_="track"),
        tag("rect", x=0, y=top + 25, width=across(interval.value), height=4, class_=css_class),
        _whisker(interval.low, interval.high, top + 27),
    )


def _interval(interval: Interval) -> str:
    return f"{percent(interval.value)} ({percent(interval.low)} to {percent(interval.high)})"


def _whisker(low: float, high: float, middle: int) -> Markup:
    return tag(
        "g",
        tag("line", x1=across(low), x2=across(high), y1=middle, y2=middle),
        tag("line", x1=across(low), x2=across(low), y1=middle - 4, y2=middle + 4),
        tag("line", x1=across(high), x2=across(high), y1=middle - 4, y2=middle + 4),
        class_="whisker",
    )


def units_strip(units: Sequence[UnitDecision]) -> Markup:
    """Draw one column a unit, in the network's order: share of latency upwards, error left by its removal downwards.

    What was cut is filled. A good cut is tall above the line and short below it.
    """
    column = min(1 / max(len(units), 1), WIDEST_UNIT)
    tallest = max([unit.latency_share.high for unit in units if unit.latency_share] + [1e-9])
    deepest = max([unit.recoverability for unit in units if unit.recoverability is not None] + [1e-9])
    marks = [_unit(place * column, column, unit, tallest, deepest) for place, unit in enumerate(units)]
    middle = tag("line", x1=0, x2=across(column * len(units)), y1=91, y2=91, class_="axis")
    cut = sum(unit.decision == "cut" for unit in units)
    return picture(f"{cut} of {len(units)} units cut", 160, *marks, middle)


def _unit(left: float, width: float, unit: UnitDecision, tallest: float, deepest: float) -> Markup:
    """Draw one column; the line between up and down is at 91 pixels."""
    bar = {"x": across(left + 0.16 * width), "width": across(0.68 * width), "class_": unit.decision}
    marks = [
        tag("title", unit_said(unit)),
        tag("rect", x=across(left), y=0, width=across(width), height=160, class_="hit"),
    ]
    if unit.latency_share:
        up = 84 * max(unit.latency_share.value, 0.0) / tallest
        marks.append(tag("rect", y=90 - up, height=up, **bar))
        marks.append(_unit_whisker(left + width / 2, unit.latency_share, tallest))
    if unit.recoverability is not None:
        down = 60 * unit.recoverability / deepest
        marks.append(tag("rect", y=92, height=down, **bar))
    return tag("g", *marks, class_="unit")


def _unit_whisker(at: float, share: Interval, tallest: float) -> Markup:
    low, high = (90 - 84 * max(end, 0.0) / tallest for end in (share.low, share.high))
    return tag("line", x1=across(at), x2=across(at), y1=low, y2=high, class_="whisker")


def unit_said(unit: UnitDecision) -> str:
    """Say in a line what became of a unit and why."""
    share = "not measured" if unit.latency_share is None else _interval(unit.latency_share)
    error = "not measured" if unit.recoverability is None else significant(unit.recoverability)
    score = "none" if unit.score is None else significant(unit.score)
    return f"{unit.name}: {unit.decision}. {unit.reason} Latency share {share}, error left {error}, score {score}."


def recovery_bars(recovery: Recovery) -> Markup:
    """Draw the feature error on held-out images before any repair, after the closed form and at the end."""
    rows = [
        ("Cut, no repair", recovery.error_plain),
        ("After the closed form", recovery.error_closed_form),
        ("After training", recovery.error_final),
    ]
    largest = max([error for _, error in rows] + [1e-9])
    marks = [
        _bar_row(40 * place, name, significant(error), error / largest) for place, (name, error) in enumerate(rows)
    ]
    return picture("Feature error on held-out images", 120, *marks)


def stage_bars(stages: Sequence[Stage]) -> Markup:
    """Draw how long each stage took."""
    longest = max([stage.seconds for stage in stages] + [1e-9])
    marks = [
        _bar_row(34 * place, stage.name, duration(stage.seconds), stage.seconds / longest)
        for place, stage in enumerate(stages)
    ]
    return picture("Time of each stage", 34 * len(stages), *marks)


def _bar_row(top: int, label: str, value: str, share: float) -> Markup:
    return tag(
        "g",
        tag("title", f"{label}: {value}"),
        tag("text", label, x=0, y=top + 14, class_="name"),
        tag("text", value, x="100%", y=top + 14, class_="value"),
        tag("rect", x=0, y=top + 21, width="100%", height=6, class_="track"),
        tag("rect", x=0, y=top + 21, width=across(share), height=6, class_="delivered"),
    )


def data_bar(data: DataUse) -> Markup:
    """Draw which images did what, as parts of one bar."""
    parts = [("repair", data.repair_images), ("selection", data.selection_images), ("test", data.test_images)]
    total = sum(images for _, images in parts) or 1
    marks, left = [], 0.0
    for name, images in parts:
        rectangle = tag("rect", x=across(left), y=0, width=across(images / total), height=16, class_=name)
        marks.append(tag("g", tag("title", f"{name}: {images} images"), rectangle))
        left += images / total
    return picture("Images by use", 16, *marks)


def hour_bars(hours: Sequence[dict[str, int]]) -> Markup:
    """Draw one stacked column an hour, oldest first: jobs by how they ended or that they are still open."""
    tallest = max([sum(hour.values()) for hour in hours] + [1])
    width = 1 / max(len(hours), 1)
    marks = []
    for place, hour in enumerate(hours):
        said = ", ".join(f"{jobs} {kind}" for kind, jobs in hour.items() if jobs) or "no jobs"
        column, bottom = [tag("title", f"{len(hours) - place} h ago: {said}")], 80.0
        column.append(tag("rect", x=across(place * width), y=0, width=across(width), height=81, class_="hit"))
        for kind, jobs in hour.items():
            height = 76 * jobs / tallest
            bottom -= height
            at = {"x": across((place + 0.12) * width), "width": across(0.76 * width)}
            column.append(tag("rect", y=bottom, height=height, class_=kind, **at))
        marks.append(tag("g", *column))
    base = tag("line", x1=0, x2="100%", y1=80.5, y2=80.5, class_="axis")
    return picture("Jobs by the hour they were submitted", 82, *marks, base)
