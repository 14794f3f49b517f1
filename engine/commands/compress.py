"""`compress`: cut a network and repair it; writes model.onnx and report.json, progress as JSON lines."""

from __future__ import annotations

import argparse
import dataclasses
from pathlib import Path

import torch

from engine.commands.output import put
from engine.commands.recipe_file import read_recipe
from engine.compress import compress
from engine.execution.cores import usable_cores
from engine.formats import save
from engine.progress import Progress, Update


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", type=Path)
    parser.add_argument("--calibration", type=Path, help="folder, .zip, .npz or .npy; absent: a data-free job")
    parser.add_argument("--recipe", type=Path, help="JSON file; absent: the defaults")
    parser.add_argument("--out", type=Path, required=True, help="folder for model.onnx and report.json")
    parser.add_argument("--checkpoint", type=Path, help="folder that a second attempt goes on from")


def run(options: argparse.Namespace) -> int:
    recipe = read_recipe(options.recipe)
    torch.set_num_threads(usable_cores())
    model, report, *_ = compress(options.model, options.calibration, recipe, Progress(_listen), options.checkpoint)
    options.out.mkdir(parents=True, exist_ok=True)
    save(model, options.out / "model.onnx")
    (options.out / "report.json").write_text(report.model_dump_json(indent=2) + "\n")
    artifacts = {"model": "model.onnx", "report": "report.json"}
    put({"event": "done", "outcome": report.outcome, "summary": report.summary, "artifacts": artifacts})
    return 0


def _listen(update: Update) -> None:
    put({"event": "progress", **dataclasses.asdict(update)})
