"""How long a job will still take: a middle guess, and one that nine of ten jobs keep. Pure but for one reading of rows.

What past jobs of the same kind took corrects the engine's own estimate. Without past jobs the interval is wide, up to
the end of the job's budget, because nothing better is known.

Split conformal prediction, as in Lei et al., "Distribution-Free Predictive Inference for Regression", 2018.
arXiv:1604.04173: the 90 % bound is the ceil(0.9 (n + 1))-th smallest of n past errors.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median
from typing import Any, Final, NamedTuple

from sqlalchemy import ColumnElement, bindparam, func, select
from sqlalchemy.orm import Session

from core.db import Query
from core.tables import Job, JobState

HISTORY_JOBS: Final = 50
FEW_JOBS: Final = 5
"""With fewer past jobs than these, nothing is concluded from them."""

PHASES: Final = (0.0, 0.25, 0.5, 0.75, 1.01)
"""Estimates made early in a job err more than late ones: each quarter is corrected by what it erred before."""

SMOOTH_SECONDS: Final = 5.0
"""Added to both sides of a ratio, so that the last second of a job does not count as an error by a factor."""

UNKNOWN_STRETCH: Final = 4.0
DELIVERY_SECONDS: Final = 120.0
"""What a job may take beyond its budget, to be verified and delivered."""

UNPRICED_SECONDS: Final = 600.0
"""What a job counts whose row has no price, as an earlier version of the service writes them: a recipe's own budget."""

_past = (
    select(Job.model_id, Job.running_at, Job.finished_at)
    .where(
        Job.project_id == bindparam("project_id"), Job.kind == bindparam("kind"), Job.state == JobState.SUCCEEDED.value
    )
    .order_by(Job.id.desc())
    .limit(HISTORY_JOBS)
)
_PAST: Final = Query(_past)
_PAST_WITH_SAMPLES: Final = Query(_past.add_columns(Job.eta_samples))


class Guess(NamedTuple):
    """Seconds still to go; None where there is no basis."""

    p50_seconds: float | None
    p90_seconds: float | None


@dataclass(frozen=True)
class PastJob:
    """One job that ended well: how long it ran, and what was estimated on the way.

    `samples` are (fraction, seconds since the start, seconds left by the engine's estimate).
    """

    run_seconds: float
    samples: Sequence[Sequence[float]]
    is_same_model: bool = False


def kind_of(recipe: Mapping[str, Any], device: str, *, has_images: bool) -> str:
    """Name what makes jobs take about as long as one another, the network aside: `cpu front blocks images`."""
    target, method = recipe.get("target") or {}, recipe.get("method") or {}
    shape = "front" if target.get("pareto") is not None else "one"
    return f"{device} {shape} {method.get('name', 'auto')} {'images' if has_images else 'drawn'}"[:80]


def forecast_for(session: Session, job: Job, *, with_samples: bool = True) -> dict[str, Any]:
    """Return what past jobs of the project say of this one, to be kept with its row.

    How far estimates erred is learnt `with_samples`; a job that only waits has no estimate to correct, and a
    submission should not read so much.
    """
    found = (_PAST_WITH_SAMPLES if with_samples else _PAST)(project_id=job.project_id, kind=job.kind).all(session)
    past = [
        PastJob(
            (row["finished_at"] - row["running_at"]).total_seconds(),
            row.get("eta_samples") or [],
            row["model_id"] == job.model_id,
        )
        for row in found
        if row["running_at"] is not None and row["finished_at"] is not None
    ]
    return learn(past) | {"limit_seconds": float(job.recipe.get("budget_seconds") or 0.0) + DELIVERY_SECONDS}


def learn(past: Sequence[PastJob]) -> dict[str, Any]:
    """Return as plain JSON: the number of jobs, the quantiles of their run, and for each phase how far estimates erred.

    Jobs on the same network count alone where there are enough of them.
    """
    same = [job for job in past if job.is_same_model]
    used = same if len(same) >= FEW_JOBS else list(past)
    runs = [job.run_seconds for job in used]
    return {
        "jobs": len(used),
        "run": _quantiles(runs),
        "stretch": [_quantiles(_errors(used, low, high)) for low, high in pairwise(PHASES)],
    }


def remaining(
    forecast: Mapping[str, Any] | None, *, fraction: float, elapsed_seconds: float, engine_seconds: float | None
) -> Guess:
    """Guess what is left of a job that runs: from the engine's estimate, else from the length of past jobs."""
    known = forecast or {}
    limit_seconds = max(float(known.get("limit_seconds") or math.inf) - elapsed_seconds, 0.0)
    if engine_seconds is not None:
        middle, late = _stretch(known, fraction) or (1.0, UNKNOWN_STRETCH)
        return _guess(
            *(max((engine_seconds + SMOOTH_SECONDS) * ratio - SMOOTH_SECONDS, 0.0) for ratio in (middle, late))
        )
    run = known.get("run")
    if run:
        return _guess(*(max(seconds - elapsed_seconds, 0.0) for seconds in run))
    return Guess(None, limit_seconds if math.isfinite(limit_seconds) else None)


def waiting(forecast: Mapping[str, Any] | None, wait: Guess) -> Guess:
    """Guess the time to the end of a job that waits, from the wait before it and what such jobs take.

    Told coarsely, late never too soon, so that it does not change with every beat of the jobs before it.
    """
    middle, late = (
        None if before is None or seconds is None else before + seconds
        for before, seconds in zip(wait, expected_run(forecast or {}), strict=True)
    )
    return Guess(_coarse(middle, round), _coarse(late, math.ceil))


def expected_run(forecast: Mapping[str, Any]) -> Guess:
    """Guess what a job takes from its start: as past jobs did, though no more than it may take itself.

    Without past jobs nothing is known but that it ends, late, when it must.
    """
    limit_seconds, run = forecast.get("limit_seconds"), forecast.get("run")
    if not run:
        return Guess(None, limit_seconds)
    middle, late = (seconds if limit_seconds is None else min(seconds, limit_seconds) for seconds in run)
    return Guess(middle, late)


def price(forecast: Mapping[str, Any]) -> tuple[float, float]:
    """Return what a job is taken to cost those behind it, middle and late, in seconds: its budget without past jobs."""
    limit_seconds = float(forecast["limit_seconds"])
    middle, late = expected_run(forecast)
    budget_seconds = max(limit_seconds - DELIVERY_SECONDS, 0.0)
    return budget_seconds if middle is None else middle, limit_seconds if late is None else late


def price_in_rows() -> tuple[ColumnElement[float], ColumnElement[float]]:
    """Return what a row of `jobs` costs those behind it, middle and late: no job is done in no time."""
    return (
        func.coalesce(Job.price_seconds, UNPRICED_SECONDS),
        func.coalesce(Job.price_late_seconds, UNPRICED_SECONDS + DELIVERY_SECONDS),
    )


def _coarse(seconds: float | None, to_whole: Callable[[float], int]) -> float | None:
    """Return whole seconds of two significant digits: 8.4 becomes 8 or 9, 1234.5 becomes 1200 or 1300."""
    if seconds is None:
        return None
    step = 10 ** max(math.floor(math.log10(max(seconds, 1.0))) - 1, 0)
    return float(to_whole(round(seconds, 1) / step) * step)


def _guess(middle: float, late: float) -> Guess:
    return Guess(round(middle, 1), round(max(middle, late), 1))


def _stretch(known: Mapping[str, Any], fraction: float) -> Sequence[float] | None:
    phases: Sequence[Sequence[float] | None] = known.get("stretch") or ()
    for found, (low, high) in zip(phases, pairwise(PHASES), strict=False):
        if low <= fraction < high:
            return found
    return None


def _errors(past: Iterable[PastJob], low: float, high: float) -> list[float]:
    """Return for each job that said anything in a phase, what was left over what was said: its median, one a job."""
    errors = []
    for job in past:
        said = [
            (max(job.run_seconds - at, 0.0) + SMOOTH_SECONDS) / (left + SMOOTH_SECONDS)
            for fraction, at, left in job.samples
            if low <= fraction < high
        ]
        errors += [median(said)] if said else []
    return errors


def _quantiles(values: Sequence[float]) -> list[float] | None:
    """Return the middle and the 90 % bound; with too few values for the bound to be among them, half again the most."""
    if len(values) < FEW_JOBS:
        return None
    ordered, rank = sorted(values), math.ceil(0.9 * (len(values) + 1))
    late = ordered[rank - 1] if rank <= len(ordered) else 1.5 * ordered[-1]
    return [round(median(ordered), 4), round(late, 4)]
