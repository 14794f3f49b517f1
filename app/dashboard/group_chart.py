"""How far each group of channels was narrowed, drawn as SVG: what stays below, what goes above it."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup

from app.dashboard.formats import percent, significant
from app.dashboard.svg import across, picture, tag
from engine.report import GroupDecision

WIDEST = 0.06
"""Of the picture, for one group: three should not become three walls."""
HEIGHT = 110


def group_chart(groups: Sequence[GroupDecision]) -> Markup:
    """Draw one column a group, in the network's order, as high as the group is wide; what was cut off it is filled."""
    column = min(1 / len(groups), WIDEST)
    widest = max(max(group.channels, group.kept, 1) for group in groups)
    marks = [_group(place * column, column, group, HEIGHT / widest) for place, group in enumerate(groups)]
    base = tag("line", x1=0, x2=across(column * len(groups)), y1=HEIGHT + 1, y2=HEIGHT + 1, class_="axis")
    narrowed = sum(group.is_narrowed for group in groups)
    return picture(f"{narrowed} of {len(groups)} groups of channels narrowed", HEIGHT + 2, *marks, base)


def _group(left: float, width: float, group: GroupDecision, scale: float) -> Markup:
    bar = {"x": across(left + 0.16 * width), "width": across(0.68 * width)}
    stays = group.kept * scale
    goes = max(group.channels - group.kept, 0) * scale
    return tag(
        "g",
        tag("title", group_said(group)),
        tag("rect", x=across(left), y=0, width=across(width), height=HEIGHT, class_="hit"),
        tag("rect", y=HEIGHT - stays, height=stays, class_="kept", **bar),
        tag("rect", y=HEIGHT - stays - goes, height=goes, class_="cut", **bar),
        class_="unit",
    )


def group_said(group: GroupDecision) -> str:
    """Say in a line what became of a group and why."""
    share = "not measured" if group.latency_share is None else percent(group.latency_share.value)
    error = "not measured" if group.recoverability is None else significant(group.recoverability)
    of = f"{group.kept} of {group.channels} channels stay"
    return f"{group.name}: {of}. {group.reason} Latency share {share}, error left {error}."
