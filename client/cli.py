"""The command `secateur`. Exit codes: 0 done, 1 failed or no gain, 2 usage, 3 no server, 4 refused, 130 left."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Annotated, Any

import typer

from client import options
from client.checkup_commands import checkup_commands
from client.compress import Delivery, collect, follow, submit_files
from client.errors import JobFailed
from client.job_commands import job_commands
from client.progress import choose_progress
from client.recipes import recipe_of
from client.resources import Job
from client.tables import front_table, job_table, jobs_table, outputs_table, report_table
from client.tenancy_commands import keys, projects, usage_commands
from client.terminal import err, open_client, out, print_json, problems_shown
from client.text import plain
from client.webhook_commands import webhooks

INTERRUPTED = 130

main = typer.Typer(
    name="secateur",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Make a trained network smaller and measurably faster with a Secateur service.\n\n"
    "Exit codes: 0 done; 1 the job failed or brought no gain; 2 wrong usage; 3 server unreachable; "
    "4 the server refused; 130 left with Ctrl-C (the job goes on).",
)
main.add_typer(job_commands)
main.add_typer(checkup_commands)
main.add_typer(webhooks, name="webhooks")
main.add_typer(projects, name="projects")
main.add_typer(keys, name="keys")
main.add_typer(usage_commands)


@main.command("compress")
def compress_command(
    context: typer.Context,
    model: Annotated[
        Path,
        typer.Argument(
            help="The trained network: .onnx, .pt2, or weights as .safetensors or .pth.", exists=True, dir_okay=False
        ),
    ],
    calibration: options.Calibration = None,
    output: Annotated[Path, typer.Option("--output", "-o", help="Where to write the result.")] = Path("pruned.onnx"),
    latency_ratio: options.LatencyRatio = None,
    latency_ms: options.LatencyMs = None,
    macs_ratio: options.MacsRatio = None,
    parameters_ratio: options.ParametersRatio = None,
    units: options.Units = None,
    pareto: options.Pareto = None,
    min_agreement: options.MinAgreement = None,
    recipe: options.RecipeFile = None,
    architecture: options.Architecture = None,
    batch: options.Batch = None,
    threads: options.Threads = None,
    provider: options.Provider = None,
    resize: options.Resize = None,
    crop: options.Crop = None,
    mean: options.Mean = None,
    std: options.Std = None,
    outputs: options.Outputs = None,
    synthesis: options.Synthesis = None,
    budget_seconds: options.BudgetSeconds = None,
    seed: options.Seed = None,
    label: options.Label = None,
    priority: options.Priority = 0,
    deadline: options.Deadline = None,
    report: Annotated[Path | None, typer.Option(help="Also write the report, as JSON, to this file.")] = None,
    as_json: options.AsJson = False,
    server: options.Server = None,
    key: options.Key = None,
) -> None:
    """Upload a network, wait for the job, download the result, print the report; without images it is data-free."""
    with problems_shown():
        asked = recipe_of(recipe, context.params)  # an option that shapes the recipe has the name of its key
        wishes = {"labels": options.labels_of(label), "priority": priority, "deadline": options.moment_of(deadline)}
        delivery = _deliver(model, calibration, asked, output, server, key, wishes)
        _show_delivery(delivery, report, as_json=as_json)


@main.command("jobs")
def jobs_command(
    state: Annotated[str | None, typer.Option(help="Only jobs in this state.")] = None,
    label: options.Label = None,
    limit: Annotated[int, typer.Option(help="At most so many.", min=1)] = 20,
    as_json: options.AsJson = False,
    server: options.Server = None,
    key: options.Key = None,
) -> None:
    """List the newest jobs."""
    with problems_shown(), open_client(server, key) as client:
        found = list(
            islice(client.jobs(state=state, labels=options.labels_of(label), page_size=min(limit, 100)), limit)
        )
        if as_json:
            print_json([job.raw for job in found])
        else:
            out.print(jobs_table(found))


@main.command("job")
def job_command(
    job_id: options.JobId,
    is_followed: Annotated[bool, typer.Option("--follow", "-f", help="Show progress until the job ends.")] = False,
    as_json: options.AsJson = False,
    server: options.Server = None,
    key: options.Key = None,
) -> None:
    """Show one job; exit 1 if it ended without a result."""
    progress = choose_progress(err)
    with problems_shown(), open_client(server, key, progress) as client:
        with _left_running(job_id):
            job = follow(client, job_id, progress) if is_followed else client.job(job_id)
        _show_job(job, as_json=as_json)
        if job.is_terminal and job.state != "succeeded":
            raise JobFailed(job.error, job.id)


@main.command("cancel")
def cancel_command(
    job_id: options.JobId, as_json: options.AsJson = False, server: options.Server = None, key: options.Key = None
) -> None:
    """Stop a job."""
    with problems_shown(), open_client(server, key) as client:
        _show_job(client.cancel(job_id), as_json=as_json)


@main.command("report")
def report_command(
    job_id: options.JobId,
    html: Annotated[Path | None, typer.Option(help="Write it to this file, as a page that needs nothing else.")] = None,
    as_json: options.AsJson = False,
    server: options.Server = None,
    key: options.Key = None,
) -> None:
    """Print what came of a job."""
    with problems_shown(), open_client(server, key) as client:
        if html is not None:
            html.write_text(client.report_page(job_id), encoding="utf-8")
            return
        found = client.report(job_id)
        if as_json:
            print_json(found)
        else:
            out.print(report_table(found))


@main.command("download")
def download_command(
    job_id: options.JobId,
    output: Annotated[Path, typer.Option("--output", "-o", help="Where to write the result.")] = Path("pruned.onnx"),
    report: Annotated[Path | None, typer.Option(help="Also write the report, as JSON, to this file.")] = None,
    as_json: options.AsJson = False,
    server: options.Server = None,
    key: options.Key = None,
) -> None:
    """Wait for a job that was left running, and fetch its result."""
    progress = choose_progress(err)
    with problems_shown():
        with open_client(server, key, progress) as client, _left_running(job_id):
            delivery = collect(client, job_id, output, progress)
        _show_delivery(delivery, report, as_json=as_json)


def _deliver(
    model: Path,
    calibration: Path | None,
    recipe: dict[str, Any],
    output: Path,
    server: str | None,
    key: str | None,
    wishes: dict[str, Any],
) -> Delivery:
    """Submit the job and wait for its result; Ctrl-C leaves the job running. `wishes` are not of the recipe."""
    progress = choose_progress(err)
    with open_client(server, key, progress) as client:
        job = submit_files(client, model, calibration, recipe, progress, **wishes)
        err.print(plain(f"submitted as {job.id}"), markup=False)
        with _left_running(job.id):
            return collect(client, job.id, output, progress)


@contextmanager
def _left_running(job_id: str) -> Iterator[None]:
    """Let Ctrl-C leave the job running, and say how to come back to it."""
    try:
        yield
    except KeyboardInterrupt as interrupt:
        job = plain(job_id)
        err.print(
            f"\n{job} goes on without you.\n"
            f"  follow:  secateur job {job} --follow\n"
            f"  fetch:   secateur download {job} -o pruned.onnx\n"
            f"  cancel:  secateur cancel {job}",
            markup=False,
        )
        raise typer.Exit(INTERRUPTED) from interrupt


def _show_delivery(delivery: Delivery, report_file: Path | None, *, as_json: bool) -> None:
    """Print the report; a job without gain is told as such by the exit code."""
    if report_file is not None:
        report_file.write_text(json.dumps(delivery.report, indent=2) + "\n", encoding="utf-8")
    if as_json:
        print_json(
            {"job": delivery.job.raw, "report": delivery.report, "model": str(delivery.model)}
            | _front(delivery)
            | ({"outputs": [str(path) for path in delivery.outputs]} if delivery.outputs else {})
        )
    else:
        out.print(report_table(delivery.report))
        if delivery.front:
            out.print(front_table(delivery.front))
        if delivery.report.get("outputs"):
            out.print(outputs_table(delivery.report["outputs"]))
        out.print(f"written to {', '.join(map(str, (delivery.model, *delivery.outputs)))}", markup=False)
    if delivery.job.outcome == "no_gain":
        raise typer.Exit(1)


def _front(delivery: Delivery) -> dict[str, Any]:
    """Return what a front has beside its model."""
    if not delivery.job.is_front:
        return {}
    return {"folder": str(delivery.model.parent), "candidates": [candidate.raw for candidate in delivery.front]}


def _show_job(job: Job, *, as_json: bool) -> None:
    if as_json:
        print_json(job.raw)
    else:
        out.print(job_table(job))


if __name__ == "__main__":
    main()
