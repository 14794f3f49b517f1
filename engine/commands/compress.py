"""`compress`: cut a network and repair it; writes model and report, of a front all of it; progress as JSON lines."""

from __future__ import annotations

import argparse
import dataclasses
from pathlib import Path

import torch

from engine.commands.output import put
from engine.commands.recipe_file import read_recipe
from engine.compress import Delivery, compress
from engine.execution.cores import usable_cores
from engine.formats import save
from engine.plot import front_svg
from engine.progress import Progress, Update


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", type=Path)
    parser.add_argument("--calibration", type=Path, help="folder, .zip, .npz or .npy; absent: a data-free job")
    parser.add_argument("--recipe", type=Path, help="JSON file; absent: the defaults")
    parser.add_argument(
        "--out", type=Path, required=True, help="folder for model.onnx, report.json and whatever else was asked for"
    )
    parser.add_argument("--checkpoint", type=Path, help="folder that a second attempt goes on from")


def run(options: argparse.Namespace) -> int:
    recipe = read_recipe(options.recipe)
    torch.set_num_threads(usable_cores())
    progress = Progress(_listen, recipe.budget_seconds)
    delivery = compress(options.model, options.calibration, recipe, progress, options.checkpoint)
    artifacts = write(delivery, options.out)
    report = delivery.report
    put({"event": "done", "outcome": report.outcome, "summary": report.summary, "artifacts": artifacts})
    return 0


def write(delivery: Delivery, out: Path) -> dict[str, str]:
    """Write what is delivered, and return the files by their roles; the report names all others."""
    files = {"model.onnx": delivery.model, **delivery.candidates, **delivery.outputs}
    for name, model in files.items():
        (out / name).parent.mkdir(parents=True, exist_ok=True)
        save(model, out / name)
    (out / "report.json").write_text(delivery.report.model_dump_json(indent=2) + "\n")
    written = {"model": "model.onnx", "report": "report.json"}
    if delivery.candidates:
        (out / "front.svg").write_text(front_svg(delivery.report))
        written["plot"] = "front.svg"
    return written


def _listen(update: Update) -> None:
    put({"event": "progress", **dataclasses.asdict(update)})
