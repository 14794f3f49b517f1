"""Two reports side by side: what was asked differently, what came out differently, and whether that is fair."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from app.reports.schemas import ComparedJob, ComparisonView, Figure, RecipeDifference, UnitsCompared
from core.db import Record
from engine.report import Interval, Report

ABSENT = object()


def compare_jobs(jobs: tuple[Record, Record], reports: tuple[Report, Report]) -> ComparisonView:
    """Compare two jobs that have succeeded."""
    first, second = (
        ComparedJob(id=job["id"], model_id=job["model_id"], outcome=report.outcome, summary=report.summary)
        for job, report in zip(jobs, reports, strict=True)
    )
    return ComparisonView(
        first=first,
        second=second,
        recipe=list(_recipe_differences(reports)),
        figures=list(_figures(*reports)),
        units=_units(*reports),
        warnings=list(_warnings(jobs, reports)),
    )


def _recipe_differences(reports: tuple[Report, Report]) -> Iterator[RecipeDifference]:
    first, second = (dict(_flat(report.recipe.model_dump(mode="json"))) for report in reports)
    for key in sorted(first.keys() | second.keys()):
        if first.get(key, ABSENT) != second.get(key, ABSENT):
            yield RecipeDifference(key=key, first=first.get(key), second=second.get(key))


def _flat(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the leaves of an object by their paths; a list is a leaf."""
    if not isinstance(value, Mapping):
        yield path, value
        return
    for key, item in value.items():
        yield from _flat(item, f"{path}.{key}" if path else str(key))


def _figures(first: Report, second: Report) -> Iterator[Figure]:
    """Yield the measures from the most to the least telling."""
    yield _figure("latency_ratio", first.latency.ratio, second.latency.ratio)
    for name in ("latency_ms_p50", "latency_ms_p95"):
        yield _figure(name, getattr(first.latency.delivered, name), getattr(second.latency.delivered, name))
    yield _figure("accuracy", _accuracy(first), _accuracy(second))
    yield _figure("agreement", _agreement(first), _agreement(second))
    yield _figure("feature_error", _error(first), _error(second))
    for name in ("parameters", "macs", "size_bytes"):
        yield _figure(name, getattr(first.delivered, name), getattr(second.delivered, name))
    yield _figure(
        "seconds", sum(stage.seconds for stage in first.stages), sum(stage.seconds for stage in second.stages)
    )


def _figure(name: str, first: Interval | float | None, second: Interval | float | None) -> Figure:
    one, other = _value(first), _value(second)
    spans = [(side.low, side.high) if isinstance(side, Interval) else None for side in (first, second)]
    sure = None
    if spans[0] is not None and spans[1] is not None:
        sure = spans[0][1] < spans[1][0] or spans[1][1] < spans[0][0]
    return Figure(
        name=name,
        first=one,
        second=other,
        first_interval=spans[0],
        second_interval=spans[1],
        difference=None if one is None or other is None else other - one,
        is_sure=sure,
    )


def _value(side: Interval | float | None) -> float | None:
    return side.value if isinstance(side, Interval) else side


def _accuracy(report: Report) -> Interval | None:
    return report.fidelity.accuracy.delivered if report.fidelity and report.fidelity.accuracy else None


def _agreement(report: Report) -> Interval | None:
    return report.fidelity.agreement if report.fidelity else None


def _error(report: Report) -> float | None:
    return report.recovery.error_final if report.recovery else None


def _units(first: Report, second: Report) -> UnitsCompared:
    one, other = ({unit.name: unit.decision == "cut" for unit in report.units} for report in (first, second))
    both = [name for name in one if name in other]
    return UnitsCompared(
        cut_in_both=[name for name in both if one[name] and other[name]],
        cut_in_first_only=[name for name in both if one[name] and not other[name]],
        cut_in_second_only=[name for name in both if other[name] and not one[name]],
        kept_in_both=[name for name in both if not one[name] and not other[name]],
        in_one_only=sorted(one.keys() ^ other.keys()),
    )


def _warnings(jobs: tuple[Record, Record], reports: tuple[Report, Report]) -> Iterator[str]:
    first, second = reports
    if jobs[0]["model_id"] != jobs[1]["model_id"]:
        yield "The jobs are on different models: only the ratios can be compared."
    places = [report.environment.model_dump() for report in reports]
    differing = sorted(name for name in places[0] if places[0][name] != places[1][name])
    if differing:
        yield f"Measured in different environments ({', '.join(differing)}): milliseconds cannot be compared."
    if first.latency.clock != second.latency.clock:
        yield "Timed by different clocks: milliseconds cannot be compared."
    counts = [report.fidelity.images if report.fidelity else 0 for report in reports]
    if counts[0] != counts[1]:
        yield f"Fidelity was measured on {counts[0]} and {counts[1]} images."
