"""A front as a picture: measured latency rightwards, held-out feature error upwards; every number is the report's."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from markupsafe import Markup

from app.dashboard.formats import significant
from app.dashboard.svg import across, picture, tag
from engine.report import CandidateReport, DroppedCandidate, Interval

HEIGHT, TOP, BOTTOM = 260, 24, 226
LEFT, RIGHT = 0.03, 0.97  # of the picture: labels need room at both ends

Place = tuple[float, float]  # latency ratio, error


def front_chart(candidates: Sequence[CandidateReport], dropped: Sequence[DroppedCandidate]) -> Markup:
    """Draw each network with its interval, joined from the original on; the model is marked, the dropped are hollow."""
    fastest = min(candidate.latency.ratio.low for candidate in candidates)
    worst = max([candidate.recovery.error_final for candidate in candidates] + [1e-9])
    scale = _Scale(fastest, worst)
    places = [(1.0, 0.0), *((one.latency.ratio.value, one.recovery.error_final) for one in candidates)]
    marks = [
        tag("line", x1=0, x2="100%", y1=BOTTOM, y2=BOTTOM, class_="axis"),
        tag("text", "original", x=scale.x(1.0), y=BOTTOM + 18, class_="parity end"),
        *(_joint(scale, *pair) for pair in pairwise(places)),
        *(_dropped(scale, one) for one in dropped if scale.holds(one)),
        *(_candidate(scale, one) for one in candidates),
    ]
    return picture("Latency and feature error of each network of the front", HEIGHT, *marks)


class _Scale:
    """Where a ratio lies across the picture, and an error down it."""

    def __init__(self, fastest: float, worst: float) -> None:
        self._fastest, self._worst = min(fastest, 0.999), worst

    def x(self, ratio: float) -> str:
        return across(LEFT + (RIGHT - LEFT) * (ratio - self._fastest) / (1 - self._fastest))

    def y(self, error: float) -> float:
        return BOTTOM - (BOTTOM - TOP) * error / self._worst

    def holds(self, one: DroppedCandidate) -> bool:
        return self._fastest <= one.latency_ratio.value <= 1 and one.error <= self._worst


def _joint(scale: _Scale, start: Place, end: Place) -> Markup:
    ends: dict[str, str | float] = {
        "x1": scale.x(start[0]),
        "y1": scale.y(start[1]),
        "x2": scale.x(end[0]),
        "y2": scale.y(end[1]),
    }
    return tag("line", class_="joint", **ends)


def _candidate(scale: _Scale, one: CandidateReport) -> Markup:
    ratio, error = one.latency.ratio, one.recovery.error_final
    x, y = scale.x(ratio.value), scale.y(error)
    return tag(
        "g",
        tag("title", f"{one.file}: {_interval(ratio)} of the latency, error {significant(error)}"),
        tag("line", x1=scale.x(ratio.low), x2=scale.x(ratio.high), y1=y, y2=y, class_="whisker"),
        tag("circle", cx=x, cy=y, r=6 if one.is_model else 4, class_="model" if one.is_model else "delivered"),
        tag("text", number_of(one), x=x, y=y - 10, class_="name middle"),
        class_="point",
    )


def _dropped(scale: _Scale, one: DroppedCandidate) -> Markup:
    said = tag("title", f"dropped at {_interval(one.latency_ratio)}, error {significant(one.error)}: {one.reason}")
    circle = tag("circle", cx=scale.x(one.latency_ratio.value), cy=scale.y(one.error), r=4, class_="dropped")
    return tag("g", said, circle)


def number_of(candidate: CandidateReport) -> str:
    """Return what a network of a front is called in short: 03."""
    return candidate.file.rpartition("/")[2].removesuffix(".onnx")


def _interval(interval: Interval) -> str:
    return f"{significant(interval.value)} ({significant(interval.low)} to {significant(interval.high)})"
