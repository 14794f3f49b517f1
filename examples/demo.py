"""What `make demo` runs: a trained network goes in over HTTP, a faster one comes out, and this program checks it.

Exits 0 only if the delivered file loads in ONNX Runtime and is faster with 95 % confidence in a measurement of its own.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from rich.console import Console

from client import Client, ClientError
from client.compress import Delivery, compress
from client.progress import choose_progress
from client.tables import comparison_table, problem_lines
from client.text import plain
from examples.embedded import running_service

console = Console(highlight=False)

DIGITS_RECIPE: dict[str, Any] = {
    "target": {"latency_ratio": 0.7},
    "deploy": {"provider": "cpu", "threads": 1, "batch": 32},
    "budget_seconds": 120,
}


@dataclass(frozen=True)
class Task:
    """One job to show. `checked_on` are images for the measurement of our own; None where there are none."""

    model: Path
    calibration: Path | None
    checked_on: Path | None
    recipe: dict[str, Any]


def main() -> int:
    options = _parser().parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    task = _with_asked(_users_task(options) if options.model else _digits_task(options.out), options)
    try:
        delivery = _run_job(task, options.out)
    except ClientError as error:
        _say(problem_lines(error.problem))
        return error.exit_code
    _say("measuring both files again, outside the service")
    measured = _measure(task, delivery.model, options.out)
    _show(delivery, measured)
    if measured["latency"]["ratio"]["high"] >= 1:
        _say("The delivered file is not surely faster.")
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m examples.demo", description=__doc__)
    parser.add_argument("--model", type=Path, help="your own .onnx; absent: a network trained on handwritten digits")
    parser.add_argument("--calibration", type=Path, help="folder, .zip, .npz or .npy of images for --model")
    parser.add_argument("--target", type=float, help="latency over the original's, 0 to 1")
    parser.add_argument("--recipe", type=Path, help="a recipe as JSON; --target goes over it")
    parser.add_argument("--out", type=Path, default=Path("demo-output"))
    return parser


def _with_asked(task: Task, options: argparse.Namespace) -> Task:
    """Lay the recipe file and the target that were asked for over the task's own."""
    recipe = json.loads(options.recipe.read_text()) if options.recipe else task.recipe
    if options.target is not None:
        recipe = recipe | {"target": {"latency_ratio": options.target}}
    return Task(task.model, task.calibration, task.checked_on, recipe)


def _users_task(options: argparse.Namespace) -> Task:
    return Task(options.model, options.calibration, options.calibration, {})


def _digits_task(out: Path) -> Task:
    """Train the digits network; it is kept for the next run."""
    folder = out / "digits"
    task = Task(folder / "digits.onnx", folder / "calibration.zip", folder / "heldout.npz", DIGITS_RECIPE)
    if not (folder / "heldout.npz").exists():
        _say("training a small residual network on scikit-learn's handwritten digits")
        subprocess.run([sys.executable, "-m", "examples.digits", str(folder)], check=True)
    return task


def _run_job(task: Task, out: Path) -> Delivery:
    """Bring the job to a service of our own and fetch what it delivers."""
    progress = choose_progress(console)
    with running_service(out / "service.log") as service:
        _say(f"the service runs at {service.url}")
        with Client(service.url, service.key, on_trouble=progress.trouble) as client:
            delivery = compress(client, task.model, task.calibration, task.recipe, out / "pruned.onnx", progress)
    (out / "report.json").write_text(json.dumps(delivery.report, indent=2) + "\n")
    return delivery


def _measure(task: Task, delivered: Path, out: Path) -> dict[str, Any]:
    """Time both files in turn, and run them on images that the service has not seen (the user's own: that it has)."""
    recipe = out / "recipe.json"
    recipe.write_text(json.dumps(task.recipe, indent=2) + "\n")
    images = task.checked_on or _one_black_image(task.model, out)
    command = [sys.executable, "-m", "engine", "compare", str(task.model), str(delivered)]
    command += ["--images", str(images), "--recipe", str(recipe)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found if task.checked_on else found | {"fidelity": None}


def _one_black_image(model: Path, out: Path) -> Path:
    """Make something to time the networks on where the user gave no images; nothing else is concluded from it."""
    shape = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"]).get_inputs()[0].shape
    path = out / "black.npy"
    # (batch, …): an axis of any size is one image, or a side of 224
    sizes = [size if isinstance(size, int) else 224 if axis else 1 for axis, size in enumerate(shape)]
    np.save(path, np.zeros(sizes, np.float32))
    return path


def _show(delivery: Delivery, measured: dict[str, Any]) -> None:
    """Print our own measurement, and from the report what was cut and why."""
    report, reported = delivery.report, delivery.report["latency"]["ratio"]
    _say(f"{report['outcome']}: {report['summary']}")
    fidelity = measured["fidelity"]
    console.print(comparison_table(measured["latency"], measured["original"], measured["delivered"], fidelity))
    _say(f"the report's own latency ratio is {reported['value']:.3f} ({reported['low']:.3f} to {reported['high']:.3f})")
    for unit in report["units"]:
        if unit["decision"] == "cut":
            _say(f"cut {unit['name']}: {unit['reason']}")
    for warning in report["warnings"]:
        _say(f"warning: {warning}")
    _say(f"written: {delivery.model} and {delivery.model.with_name('report.json')}")


def _say(text: str) -> None:
    console.print(plain(text), markup=False, soft_wrap=True)


if __name__ == "__main__":
    sys.exit(main())
