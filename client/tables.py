"""Draws reports, jobs and problems for a terminal. Every word of the server's is cleaned before it is shown."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from client.problem import Problem
from client.resources import Job
from client.text import duration, plain, size

UNKNOWN = "unmeasured"


def report_table(report: Mapping[str, Any]) -> RenderableType:
    """Show what came of a job: before and after, what was cut, and what the service warns of."""
    table = Table("", "before", "after", "ratio", title=_text(f"{report['outcome']}: {report['summary']}"))
    for row in _rows(report):
        table.add_row(*(_text(cell) for cell in row))
    notes = [_cuts(report), _measured_on(report), *(f"warning: {warning}" for warning in report.get("warnings", ()))]
    return Group(table, *(_text(note) for note in notes))


def _rows(report: Mapping[str, Any]) -> Iterable[tuple[str, str, str, str]]:
    before, after = report["original"], report["delivered"]
    latency = report["latency"]
    for name in ("latency_ms_p50", "latency_ms_p95"):
        old, new = latency["original"][name], latency["delivered"][name]
        ratio = interval(latency["ratio"]) if name.endswith("p50") else f"{new / old:.3f}"
        yield f"latency {name[-3:]} (ms)", f"{old:.3f}", f"{new:.3f}", ratio
    yield "parameters", f"{before['parameters']:,}", f"{after['parameters']:,}", _ratio(before, after, "parameters")
    yield "MACs", f"{before['macs']:,}", f"{after['macs']:,}", _ratio(before, after, "macs")
    yield "file", size(before["size_bytes"]), size(after["size_bytes"]), _ratio(before, after, "size_bytes")
    yield from _fidelity_rows(report.get("fidelity"))


def _fidelity_rows(fidelity: Mapping[str, Any] | None) -> Iterable[tuple[str, str, str, str]]:
    """Accuracy where there were labels, agreement where there were images, and a word where nothing was measured."""
    accuracy = (fidelity or {}).get("accuracy")
    agreement = (fidelity or {}).get("agreement")
    if accuracy:
        yield (
            f"accuracy ({accuracy['images']} images)",
            interval(accuracy["original"]),
            interval(accuracy["delivered"]),
            "",
        )
    images = f" ({fidelity['images']} images)" if fidelity else ""
    yield f"agreement{images}", "", interval(agreement) if agreement else UNKNOWN, ""


def _ratio(before: Mapping[str, Any], after: Mapping[str, Any], key: str) -> str:
    return f"{after[key] / before[key]:.3f}" if before[key] else UNKNOWN


def interval(value: Mapping[str, float]) -> str:
    """Write a value with its 95 % interval: 0.712 (0.704 to 0.721)."""
    return f"{value['value']:.3f} ({value['low']:.3f} to {value['high']:.3f})"


def _cuts(report: Mapping[str, Any]) -> str:
    units = report.get("units", ())
    names = [str(unit["name"]) for unit in units if unit["decision"] == "cut"]
    return f"cut {len(names)} of {len(units)} units" + (f": {', '.join(names)}" if names else "")


def _measured_on(report: Mapping[str, Any]) -> str:
    place = report["environment"]
    return (
        f"measured with {place['runtime']} on {place['accelerator'] or place['processor']}, "
        f"{place['threads']} thread(s), batch {place['batch']}"
    )


def jobs_table(jobs: Iterable[Job]) -> Table:
    """List jobs, newest first."""
    table = Table("job", "state", "outcome", "done", "left", "submitted")
    for job in jobs:
        left = "" if job.eta_seconds is None or job.is_terminal else duration(job.eta_seconds)
        cells = (job.id, job.state, job.outcome or "", f"{job.fraction:.0%}", left, job.raw.get("submitted_at", ""))
        table.add_row(*(_text(cell) for cell in cells))
    return table


def job_table(job: Job) -> Table:
    """Show one job's fields that a person asks for."""
    table = Table("field", "value", show_header=False)
    for name in ("id", "state", "outcome", "stage", "message", "queue_position", "attempt", "model_id", "dataset_id"):
        if job.raw.get(name) is not None:
            table.add_row(name, _text(job.raw[name]))
    table.add_row("done", f"{job.fraction:.0%}")
    for name in sorted((name for name in job.raw if name.endswith("_at") and job.raw[name]), key=job.raw.__getitem__):
        table.add_row(name, _text(job.raw[name]))
    return table


def problem_lines(problem: Problem) -> str:
    """Write a problem as what, where and what to do, one a line."""
    code = ", ".join(str(part) for part in (problem.code, f"HTTP {problem.status}" if problem.status else None) if part)
    lines = [f"{problem.title}" + (f" ({code})" if code else "")]
    named = {"what": problem.what, "where": problem.where, "to do": problem.what_to_do, "request": problem.request_id}
    for name, value in named.items():
        if value:
            indented = str(value).replace("\n", "\n           ")
            lines.append(f"  {name + ':':<9}{indented}")
    return plain("\n".join(lines))


def _text(value: object) -> Text:
    """Wrap words that are not ours: cleaned, and never read as markup."""
    return Text(plain(value))
