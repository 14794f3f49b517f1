"""One case: draw its images, run the engine's own command line or the peer's program, judge what is delivered."""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.depth.cases import Case
from benchmarks.depth.child import Ended, run_module
from benchmarks.depth.draw import draw, draw_imbalanced
from benchmarks.depth.judge import judge
from benchmarks.depth.memory import Row
from benchmarks.depth.plain import top1_of_plain_drop
from benchmarks.depth.sources import NETWORKS, Pictures
from engine.recipe import Recipe


@dataclass(frozen=True)
class Task:
    """A case, the network's file, the folder of pictures, and what came of the job that the case starts from."""

    case: Case
    network: Path
    data: Path
    parent: Row | None = None


def run(task: Task) -> Row:
    """Return what came of a case; a job that is refused is a result, too: its `error`."""
    started = time.monotonic()
    if task.parent is not None and task.parent["error"] is not None:
        return {"error": f"the job that it starts from came to nothing: {task.parent['error']}", "case_seconds": 0.0}
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        recipe = recipe_of(task)
        (work / "recipe.json").write_text(recipe.model_dump_json())
        ended = _peer(task, work) if task.case.kind == "l1-filters" else _job(task, work)
        row: Row = {"job_seconds": ended.seconds, "cpu_seconds": ended.cpu_seconds, "error": ended.error}
        if ended.error is None:
            row |= _account(task, work)
            row |= judge(task.case.model, task.network, work / "model.onnx", task.data, recipe.deploy, task.case.seed)
            row |= _plain_drop(task)
    return row | {"case_seconds": round(time.monotonic() - started, 1)}


def recipe_of(task: Task) -> Recipe:
    """Return the recipe as a user would write it; `recovered` names every unit that its parent kept."""
    case = task.case
    recipe: dict[str, Any] = {
        "target": {"latency_ratio": case.latency_ratio},
        "preprocess": _pictures(case).preprocess,
        "deploy": {"batch": case.batch, "threads": case.threads},
        "budget_seconds": case.budget_seconds,
        "seed": case.seed,
    }
    if case.kind == "recovered":
        cuts = _of_parent(task)
        recipe |= {"target": {"units": len(cuts["cut"])}, "method": {"name": "practise", "keep": cuts["keep"]}}
    return Recipe.model_validate(recipe)


def kept_and_cut(units: Sequence[dict[str, Any]]) -> dict[str, list[str]]:
    """Return a report's units by name: those cut, and those to name so that exactly these can be cut again.

    What lies inside a unit that was cut went with it, and naming it would keep the whole.
    """
    cut = [unit for unit in units if unit["decision"] == "cut"]
    gone = {node for unit in cut for node in unit["nodes"]}
    kept = [unit["name"] for unit in units if unit["decision"] == "kept" and unit["name"] not in gone]
    return {"cut": [unit["name"] for unit in cut], "keep": kept}


def _job(task: Task, work: Path) -> Ended:
    calibration = ["--calibration", str(_drawn(task, work))] if task.case.images else []
    arguments = [str(task.network), "--recipe", str(work / "recipe.json"), "--out", str(work), *calibration]
    return run_module("engine", ["compress", *arguments])


def _peer(task: Task, work: Path) -> Ended:
    """Run the peer for as long as the parent's recovery took."""
    seconds = _of_parent(task)["stages"]["recover"]
    arguments = [str(task.network), "--recipe", str(work / "recipe.json"), "--out", str(work)]
    arguments += ["--calibration", str(_drawn(task, work)), "--recovery-seconds", str(seconds)]
    return run_module("benchmarks.peers.l1_filters", arguments)


def _account(task: Task, work: Path) -> Row:
    """Return what the job says of itself."""
    report = json.loads((work / "report.json").read_text())
    if task.case.kind == "l1-filters":
        return dict(report)
    cuts = kept_and_cut(report["units"])
    return {
        "outcome": report["outcome"],
        "reported_ratio": round(report["latency"]["ratio"]["value"], 4),
        "predicted_ratio": report["predicted_latency_ratio"],
        "units_cut": len(cuts["cut"]),
        **cuts,
        "recovery": report["recovery"],
        "data": report["data"],
        "stages": {stage["name"]: stage["seconds"] for stage in report["stages"]},
    }


def _plain_drop(task: Task) -> Row:
    """Return what `recovered` is held against: the same cuts without any repair, and the job with images."""
    if task.case.kind != "recovered":
        return {}
    parent = _of_parent(task)
    plain = top1_of_plain_drop(task.case.model, task.network, task.data, parent["cut"])
    return {"top1_plain": plain, "top1_with_images": parent["top1_after"]}


def _drawn(task: Task, work: Path) -> Path:
    case, target = task.case, work / "calibration.zip"
    drawing = draw_imbalanced if case.kind == "imbalanced" else draw
    return drawing(_pictures(case), task.data, target, case.images, case.seed)


def _pictures(case: Case) -> Pictures:
    source = NETWORKS[case.model].source
    return source.foreign if case.kind == "foreign" else source.train


def _of_parent(task: Task) -> Row:
    if task.parent is None:
        raise ValueError(f"{task.case} starts from another job, which was not run.")
    return task.parent
