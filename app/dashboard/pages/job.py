"""The page of one job: live while it runs, the whole report when it is over."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from markupsafe import Markup
from starlette.responses import Response

from app.dashboard import charts
from app.dashboard.formats import FILTERS, change, change_of_share, milliseconds, significant
from app.dashboard.front_chart import front_chart, number_of
from app.dashboard.group_chart import group_chart
from app.dashboard.job_view import view_job
from app.dashboard.visit import Visit
from core.db import Record
from engine.recipe import LatencyMs, LatencyRatio
from engine.report import Bounds, CandidateReport, Interval, Outcome, OutputFidelity, OutputFile, Report

VERDICTS = {
    Outcome.TARGET_MET: "The target was met.",
    Outcome.TARGET_MISSED_BEST_EFFORT: "The target was missed; this is the best that was found.",
    Outcome.NO_GAIN: "No gain: nothing that is surely faster was found.",
}


class Compared(NamedTuple):
    """One line of the table: a measure of both networks, and how far it moved."""

    name: str
    original: Markup
    delivered: Markup
    change: str


async def show(visit: Visit) -> Response:
    """Show the job."""
    context = await view_job(visit.database, visit.request.path_params["job_id"])
    report = context["report"]
    drawn = report_parts(report, context["artifacts"]) if report else {}
    return visit.page("job.html", title=f"Job of {context['job']['model_name']}", **drawn, **context)


def report_parts(report: Report, artifacts: Sequence[Record]) -> dict[str, Any]:
    """Gather what the template `report.html` names beside the report itself; files that are not given have no links."""
    return {
        "plots": draw(report),
        "compared": compare(report),
        "verdict": VERDICTS[report.outcome],
        "front": front_rows(report, artifacts),
        "outputs": output_rows(report, artifacts),
        "output_words": output_words,
    }


class Row(NamedTuple):
    """One line of a front's table, and where its network can be downloaded; None once it is no longer stored."""

    number: str
    candidate: CandidateReport
    artifact_id: str | None


def front_rows(report: Report, artifacts: Sequence[Record]) -> list[Row]:
    """Lay the networks of a front side by side, the slowest first."""
    ids = {artifact["name"]: artifact["id"] for artifact in artifacts}
    return [Row(number_of(one), one, ids.get(one.file)) for one in report.candidates]


class FileRow(NamedTuple):
    """One further file of the model, and where it can be downloaded; None once it is no longer stored."""

    output: OutputFile
    artifact_id: str | None


def output_rows(report: Report, artifacts: Sequence[Record]) -> list[FileRow]:
    """Lay the further files of the model side by side."""
    ids = {artifact["name"]: artifact["id"] for artifact in artifacts}
    return [FileRow(one, ids.get(one.file)) for one in report.outputs]


def output_words(output: OutputFidelity) -> Markup:
    """Tell how alike one output of the network is, with the intervals that there are."""
    figures = [
        ("cosine", output.cosine, output.cosine_95),
        ("relative error", output.relative_error, output.relative_error_95),
        ("equal values", output.match, output.match_95),
        ("agreement", output.agreement.value if output.agreement else None, output.agreement),
    ]
    said = [_told(name, value, bounds) for name, value, bounds in figures if value is not None]
    if output.incomparable_images:
        said.append(Markup("answers of another shape to {} images").format(output.incomparable_images))
    return Markup(", ").join(said)


def _told(name: str, value: float, bounds: Bounds | Interval | None) -> Markup:
    number = FILTERS["number"]
    told = Markup("{} {}").format(name, number(value))
    return told + Markup(" ({} to {})").format(number(bounds.low), number(bounds.high)) if bounds else told


def compare(report: Report) -> list[Compared]:
    """Lay original and delivered side by side."""
    timed, before, after = report.latency, report.original, report.delivered
    rows = [
        _row("Latency p50", "milliseconds", timed.original.latency_ms_p50, timed.delivered.latency_ms_p50),
        _row("Latency p95", "milliseconds", timed.original.latency_ms_p95, timed.delivered.latency_ms_p95),
        _row("Parameters", "count", before.parameters, after.parameters),
        _row("Multiply-accumulates", "count", before.macs, after.macs),
        _row("File", "size", before.size_bytes, after.size_bytes),
    ]
    if report.fidelity and report.fidelity.accuracy:
        accuracy = report.fidelity.accuracy
        rows.append(_row("Accuracy", "percent", accuracy.original.value, accuracy.delivered.value, change_of_share))
    return rows


def _row(name: str, form: str, before: float, after: float, change_of: Callable[..., str] = change) -> Compared:
    return Compared(name, FILTERS[form](before), FILTERS[form](after), change_of(before, after))


def draw(report: Report) -> dict[str, Markup | None]:
    """Draw every picture that this report has the numbers for."""
    return {
        "latency": charts.latency_bars(report.latency),
        "ratio": charts.ratio_scale(report.latency.ratio, _target(report)),
        "fidelity": _fidelity(report),
        "units": charts.units_strip(report.units) if report.units else None,
        "groups": group_chart(report.groups) if report.groups else None,
        "recovery": charts.recovery_bars(report.recovery) if report.recovery else None,
        "data": charts.data_bar(report.data),
        "stages": charts.stage_bars(report.stages) if report.stages else None,
        "front": front_chart(report.candidates, report.dropped) if report.candidates else None,
    }


def _target(report: Report) -> charts.Mark | None:
    """Return where the target stands on the scale of ratios, in its own unit; None when it is not about latency."""
    target = report.recipe.target
    if isinstance(target, LatencyRatio):
        return charts.Mark(target.latency_ratio, f"target {significant(target.latency_ratio)}")
    if isinstance(target, LatencyMs):
        share = target.latency_ms / report.latency.original.latency_ms_p50
        return charts.Mark(share, f"target {milliseconds(target.latency_ms)}")
    return None


def _fidelity(report: Report) -> Markup | None:
    rows: list[Any] = []
    if report.fidelity and report.fidelity.accuracy:
        accuracy = report.fidelity.accuracy
        rows += [("Accuracy, original", "original", accuracy.original)]
        rows += [("Accuracy, delivered", "delivered", accuracy.delivered)]
    if report.fidelity and report.fidelity.agreement:
        rows += [("Agreement", "delivered", report.fidelity.agreement)]
    return charts.share_scale(rows) if rows else None
