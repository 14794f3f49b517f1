"""Draws reports, jobs and problems for a terminal. Every word of the server's is cleaned before it is shown."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Column, Table
from rich.text import Text

from client.problem import Problem
from client.resources import Candidate, Job
from client.text import duration, plain, size

UNKNOWN = "unmeasured"


def report_table(report: Mapping[str, Any]) -> RenderableType:
    """Show what came of a job: before and after, what was cut, and what the service warns of."""
    notes = [_cuts(report), _measured_on(report), *(f"warning: {warning}" for warning in report.get("warnings", ()))]
    return Group(
        _text(f"{report['outcome']}: {report['summary']}"),
        comparison_table(report["latency"], report["original"], report["delivered"], report.get("fidelity")),
        *(_text(note) for note in notes),
    )


def comparison_table(
    latency: Mapping[str, Any],
    before: Mapping[str, Any],
    after: Mapping[str, Any],
    fidelity: Mapping[str, Any] | None,
) -> Table:
    """Show two networks side by side; the last column is the 95 % interval of the figure before it."""
    table = Table("", "before", "after", "ratio", "95 % interval")
    for row in (*_latency_rows(latency), *_cost_rows(before, after), *_fidelity_rows(fidelity)):
        table.add_row(*(_text(cell) for cell in row))
    return table


def front_table(front: Iterable[Candidate]) -> Table:
    """Show the networks of a front side by side; the ratio is measured, with its 95 % interval."""
    table = Table(
        "network", "latency", "95 % interval", "ms (p50)", "accuracy", "agreement", "feature error", "file", ""
    )
    for number, one in enumerate(front, start=1):
        raw = one.raw
        shares = [
            UNKNOWN if raw.get(name) is None else f"{raw[name]['value']:.3f}" for name in ("accuracy", "agreement")
        ]
        cells = (
            f"candidates/{number:02}.onnx",
            f"{one.latency_ratio:.3f}",
            _span(raw["latency_ratio"]),
            f"{raw['latency_ms_p50']:.3f}",
            *shares,
            f"{raw['error']:.4f}",
            size(raw["size_bytes"]),
            "model.onnx" if one.is_model else "",
        )
        table.add_row(*(_text(cell) for cell in cells))
    return table


def outputs_table(outputs: Iterable[Mapping[str, Any]]) -> RenderableType:
    """Show further files of the model side by side, and under them what to know before one is used."""
    table = Table("file", "latency", "95 % interval", "of fp32's", "95 % interval", "agreement", "size")
    notes = []
    for one in outputs:
        agreement = (one.get("fidelity") or {}).get("agreement")
        cells = (
            one["kind"],
            f"{one['latency']['ratio']['value']:.3f}",
            _span(one["latency"]["ratio"]),
            f"{one['ratio_to_fp32']['value']:.3f}",
            _span(one["ratio_to_fp32"]),
            f"{agreement['value']:.3f}" if agreement else UNKNOWN,
            size(one["size_bytes"]),
        )
        table.add_row(*(_text(cell) for cell in cells))
        notes += [f"{one['kind']}: {note}" for note in (one["how"], *one.get("notes", ()))]
    return Group(table, *(_text(note) for note in notes))


_Row = tuple[str, str, str, str, str]


def _latency_rows(latency: Mapping[str, Any]) -> Iterable[_Row]:
    old, new = latency["original"], latency["delivered"]
    for name in ("latency_ms_p50", "latency_ms_p95"):
        is_median = name == "latency_ms_p50"
        ratio = latency["ratio"]["value"] if is_median else new[name] / old[name]
        title = f"latency {name[-3:]} (ms)"
        yield (
            title,
            f"{old[name]:.3f}",
            f"{new[name]:.3f}",
            f"{ratio:.3f}",
            _span(latency["ratio"]) if is_median else "",
        )


def _cost_rows(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterable[_Row]:
    yield "parameters", f"{before['parameters']:,}", f"{after['parameters']:,}", _ratio(before, after, "parameters"), ""
    yield "MACs", f"{before['macs']:,}", f"{after['macs']:,}", _ratio(before, after, "macs"), ""
    yield "file", size(before["size_bytes"]), size(after["size_bytes"]), _ratio(before, after, "size_bytes"), ""


def _fidelity_rows(fidelity: Mapping[str, Any] | None) -> Iterable[_Row]:
    """Accuracy where there were labels, agreement where there were images, and a word where nothing was measured."""
    accuracy = (fidelity or {}).get("accuracy")
    agreement = (fidelity or {}).get("agreement")
    if accuracy:
        old, new = accuracy["original"], accuracy["delivered"]
        yield f"accuracy ({accuracy['images']} images)", f"{old['value']:.3f}", f"{new['value']:.3f}", "", _span(new)
    images = f" ({fidelity['images']} images)" if fidelity else ""
    value, span = (f"{agreement['value']:.3f}", _span(agreement)) if agreement else (UNKNOWN, "")
    if agreement or not fidelity:  # what has no class scores is not unmeasured: its outputs are told below
        yield f"agreement{images}", "", value, "", span
    for output in (fidelity or {}).get("outputs", ()):
        yield from _output_rows(output)


def _output_rows(output: Mapping[str, Any]) -> Iterable[_Row]:
    """Show how alike one output is; whole numbers and lists of detections have a figure of their own."""
    for key, title in (("relative_error", "relative error"), ("cosine", "cosine"), ("match", "equal values")):
        value, bounds = output.get(key), output.get(f"{key}_95")
        if value is not None:
            yield f"{output['output']}: {title}", "", f"{value:.4f}", "", _span(bounds) if bounds else ""
    apart = output.get("incomparable_images")
    if apart:
        yield f"{output['output']}: images with answers of another shape", "", str(apart), "", ""


def _ratio(before: Mapping[str, Any], after: Mapping[str, Any], key: str) -> str:
    return f"{after[key] / before[key]:.3f}" if before[key] else UNKNOWN


def _span(interval: Mapping[str, float]) -> str:
    return f"{interval['low']:.3f} to {interval['high']:.3f}"


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
    # an id that is cut short cannot be given to the next command
    table = Table(Column("job", no_wrap=True, min_width=30), "state", "outcome", "done", "left", "submitted")
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
    named = {
        "what": _without_its_place(problem),
        "where": problem.where,
        "to do": problem.what_to_do,
        "request": problem.request_id,
    }
    for name, value in named.items():
        if value:
            indented = str(value).replace("\n", "\n           ")
            lines.append(f"  {name + ':':<9}{indented}")
    return plain("\n".join(lines))


def _without_its_place(problem: Problem) -> str:
    """Return what was found, less the place at its beginning where `where` begins with the same."""
    place = (problem.where or "").partition("\n")[0]
    return problem.what.removeprefix(f"{place}: ") if place else problem.what


def _text(value: object) -> Text:
    """Wrap words that are not ours: cleaned, and never read as markup."""
    return Text(plain(value))
