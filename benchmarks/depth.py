"""What depth pruning costs and brings on trained networks: `python -m benchmarks.depth --data DIR`.

Each case draws its calibration images from a training set, runs the engine's own command line, and is judged on test
images that the engine never sees: accuracy before and after, paired, and an own interleaved measurement of latency.
One JSON line a case on standard output, a Markdown table at the end; both are kept with commit, machine and seed.
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.record import Machine, keep, machine
from engine.data.calibration import load_images
from engine.formats import load
from engine.graph.model import Model
from engine.measure.fidelity import correct
from engine.measure.latency import compare_latency
from engine.measure.statistics import paired_difference
from engine.recipe import Recipe

CIFAR = {"train": "cifar10-train.zip", "test": "cifar10-test.zip", "preprocess": {}}
IMAGENET = {"train": "imagenet-sample.zip", "test": "imagenet-sample.zip", "preprocess": {"resize": 256, "crop": 224}}
MODELS: dict[str, dict[str, Any]] = {
    "cifar10-resnet20": CIFAR,
    "cifar10-resnet56": CIFAR,
    "cifar10-vit": CIFAR,
    "imagenet-efficientnet-lite0": IMAGENET,
}
"""Model -> where its images come from. Where both are one file, what was not drawn for calibration is the test."""


@dataclass(frozen=True)
class Case:
    model: str
    images: int
    latency_ratio: float
    seed: int
    batch: int
    threads: int
    budget_seconds: float


def main() -> None:
    options = _parser().parse_args()
    here = machine()
    results = []
    for case in _cases(options):
        result = _run(case, options.data)
        results.append(result)
        print(json.dumps(result), flush=True)
    table = _table(results, here)
    print(table)
    keep("depth", here, results, table)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--models", nargs="+", choices=MODELS, default=["cifar10-resnet56"])
    parser.add_argument("--images", nargs="+", type=int, default=[500, 50, 0])
    parser.add_argument("--ratios", nargs="+", type=float, default=[0.7])
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--budget-seconds", type=float, default=480)
    return parser


def _cases(options: argparse.Namespace) -> Iterator[Case]:
    for model in options.models:
        for ratio in options.ratios:
            for images in options.images:
                for seed in options.seeds:
                    yield Case(model, images, ratio, seed, options.batch, options.threads, options.budget_seconds)


def _run(case: Case, data: Path) -> dict[str, Any]:
    """Run one job as a user would and judge what it delivers."""
    source = MODELS[case.model]
    recipe = Recipe.model_validate(
        {
            "target": {"latency_ratio": case.latency_ratio},
            "preprocess": source["preprocess"],
            "deploy": {"batch": case.batch, "threads": case.threads},
            "budget_seconds": case.budget_seconds,
            "seed": case.seed,
        }
    )
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        drawn = _draw(data / source["train"], work / "calibration.zip", case.images, case.seed)
        seconds, report = _compress(case, data, work, recipe)
        before, after = (load(path) for path in (data / f"{case.model}.onnx", work / "model.onnx"))
        seen = drawn if source["test"] == source["train"] else set()
        accuracy = _accuracy(before, after, data / source["test"], seen, recipe)
        latency = compare_latency(
            before, after, recipe.deploy, {}, seed=case.seed, budget_seconds=30, until_width=0.005
        )
    return {
        **case.__dict__,
        "outcome": report["outcome"],
        "job_seconds": round(seconds, 1),
        "measured_ratio": round(latency.ratio.value, 4),
        "measured_ratio_low": round(latency.ratio.low, 4),
        "measured_ratio_high": round(latency.ratio.high, 4),
        "reported_ratio": round(report["latency"]["ratio"]["value"], 4),
        "units_cut": sum(unit["decision"] == "cut" for unit in report["units"]),
        "recovery": report["recovery"],
        "stages": {stage["name"]: stage["seconds"] for stage in report["stages"]},
        **accuracy,
    }


def _draw(source: Path, target: Path, count: int, seed: int) -> set[str]:
    """Write `count` images of a zip to another, drawn by seed; return their names."""
    with zipfile.ZipFile(source) as pictures, zipfile.ZipFile(target, "w") as chosen:
        names = sorted(name for name in pictures.namelist() if name.endswith(".jpg"))
        drawn = random.Random(seed).sample(names, count)
        for name in drawn:
            chosen.writestr(name, pictures.read(name))
    return set(drawn)


def _compress(case: Case, data: Path, work: Path, recipe: Recipe) -> tuple[float, dict[str, Any]]:
    (work / "recipe.json").write_text(recipe.model_dump_json())
    command = [sys.executable, "-m", "engine", "compress", str(data / f"{case.model}.onnx")]
    command += ["--recipe", str(work / "recipe.json"), "--out", str(work)]
    command += ["--calibration", str(work / "calibration.zip")] if case.images else []
    started = time.monotonic()
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{case}: {done.stdout[-1000:]}{done.stderr[-2000:]}")
    report: dict[str, Any] = json.loads((work / "report.json").read_text())
    return time.monotonic() - started, report


def _accuracy(before: Model, after: Model, test: Path, drawn: set[str], recipe: Recipe) -> dict[str, Any]:
    """Return top-1 of both on test images that were not drawn for calibration, and the paired difference."""
    images = load_images(test, before.inputs[0], recipe.preprocess, seed=0)
    unseen = images.take(np.array([index for index, name in enumerate(images.names) if name not in drawn]))
    hits_before, hits_after = correct(before, unseen), correct(after, unseen)
    assert hits_before is not None
    assert hits_after is not None
    difference = paired_difference(hits_before, hits_after)
    return {
        "test_images": len(unseen),
        "top1_before": round(100 * float(hits_before.mean()), 2),
        "top1_after": round(100 * float(hits_after.mean()), 2),
        "points": round(100 * difference.value, 2),
        "points_low": round(100 * difference.low, 2),
        "points_high": round(100 * difference.high, 2),
    }


def _table(results: Iterable[dict[str, Any]], here: Machine) -> str:
    lines = [
        "| model | images | asked | measured ratio (95 %) | top-1 before | after | points (95 %, paired) | job |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for r in results:
        lines.append(
            f"| {r['model']} | {r['images']} | {r['latency_ratio']} "
            f"| {r['measured_ratio']:.3f} ({r['measured_ratio_low']:.3f} to {r['measured_ratio_high']:.3f}) "
            f"| {r['top1_before']:.1f} | {r['top1_after']:.1f} "
            f"| {r['points']:+.2f} ({r['points_low']:+.2f} to {r['points_high']:+.2f}) | {r['job_seconds']:.0f} s |"
        )
    return "\n".join([*lines, "", here.sentence()])


if __name__ == "__main__":
    main()
