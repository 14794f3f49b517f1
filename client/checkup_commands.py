"""`secateur doctor` and `secateur estimate`: what can be known before a job is made."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from client import options
from client.client import Client
from client.progress import Progress, choose_progress
from client.recipes import numbers, read_recipe, recipe_of
from client.terminal import err, open_client, out, print_json, problems_shown
from client.text import duration, plain, size

checkup_commands = typer.Typer()

Model = Annotated[Path, typer.Argument(help="The trained network.", exists=True, dir_okay=False)]
Images = Annotated[Path, typer.Argument(help="Images: a folder, .zip, .npz or .npy.", exists=True)]


@checkup_commands.command("doctor")
def doctor(
    model: Model,
    images: Images,
    recipe: options.RecipeFile = None,
    resize: options.Resize = None,
    crop: options.Crop = None,
    mean: options.Mean = None,
    std: options.Std = None,
    as_json: options.AsJson = False,
    server: options.Server = None,
    key: options.Key = None,
) -> None:
    """Say what is wrong with images for a network, and what would mend it; exit 1 if anything is."""
    progress = choose_progress(err)
    with problems_shown(), open_client(server, key, progress) as client:
        given = {"resize": resize, "crop": crop, "mean": numbers(mean, "--mean"), "std": numbers(std, "--std")}
        asked = dict(read_recipe(recipe).get("preprocess") or {})
        asked |= {name: value for name, value in given.items() if value is not None}
        model_id, dataset_id = _bring(client, progress, model, images)
        report = client.checkups.doctor(model_id, str(dataset_id), asked)
        if as_json:
            print_json(report)
        else:
            _print(_diagnosis(report))
    if report["findings"]:
        raise typer.Exit(1)


@checkup_commands.command("estimate")
def estimate(
    context: typer.Context,
    model: Model,
    calibration: options.Calibration = None,
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
    as_json: options.AsJson = False,
    server: options.Server = None,
    key: options.Key = None,
) -> None:
    """Say what a job would come to, without making it: size, latency, time, and the wait before it."""
    progress = choose_progress(err)
    with problems_shown(), open_client(server, key, progress) as client:
        asked = recipe_of(recipe, context.params)  # an option that shapes the recipe has the name of its key
        model_id, dataset_id = _bring(client, progress, model, calibration)
        found = client.checkups.estimate(model_id, dataset_id, asked)
        if as_json:
            print_json(found)
        else:
            out.print(_forecast(found))
            _print([f"warning: {warning}" for warning in found["warnings"]])


def _bring(client: Client, progress: Progress, model: Path, images: Path | None) -> tuple[str, str | None]:
    """Upload what the server does not have yet."""
    with progress.transfer(f"uploading {model.name}") as on_bytes:
        model_id = client.upload_model(model, on_bytes=on_bytes)
    if images is None:
        return model_id, None
    with progress.transfer(f"uploading {images.name}") as on_bytes:
        return model_id, client.upload_dataset(images, on_bytes=on_bytes)


def _diagnosis(report: Mapping[str, Any]) -> Iterator[str]:
    count = len(report["findings"])
    things = "1 thing" if count == 1 else f"{count} things"
    yield f"{report['looked_at']} of {report['images']} images looked at, {things} found"
    for finding in report["findings"]:
        yield f"\n{finding['ailment']}: {finding['message']}"
        yield f"  {finding['fix']}"
    for check in report["checks"]:
        if check["verdict"] == "not examined":
            yield f"not examined: {check['ailment']}. {check['note']}"


def _forecast(found: Mapping[str, Any]) -> Table:
    """Show each figure with the interval that it is expected in."""
    table = Table("", "now", "expected", "between")
    before, after = found["original"], found["predicted"]
    table.add_row("latency", *_row(before["latency_ms_p50"], after["latency_ms_p50"], "{:.2f} ms".format))
    table.add_row("latency ratio", *_row(None, after["latency_ratio"], "{:.2f}".format))
    table.add_row("size", *_row(before["size_bytes"], after["size_bytes"], lambda value: size(int(value))))
    table.add_row("MACs", *_row(before["macs"], after["macs"], "{:,.0f}".format))
    table.add_row("parameters", *_row(before["parameters"], after["parameters"], "{:,.0f}".format))
    for name, word in (("queue", "wait"), ("run", "run")):
        middle, late = found[name]["p50"], found[name]["p90"]
        table.add_row(word, "", _seconds(middle), f"nine of ten below {_seconds(late)}")
    return table


def _row(now: float | None, part: Mapping[str, float] | None, shown: Any) -> tuple[str, str, str]:
    first = "" if now is None else shown(now)
    if part is None:
        return first, "unknown", ""
    return first, shown(part["value"]), f"{shown(part['low'])} to {shown(part['high'])}"


def _seconds(value: float | None) -> str:
    return "unknown" if value is None else duration(value)


def _print(lines: Any) -> None:
    """Print sentences of the server's, whose markup and escapes are not ours."""
    for line in lines:
        out.print(Text(plain(line)), soft_wrap=True)
