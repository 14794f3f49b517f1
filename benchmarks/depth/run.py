"""One case: draw its images, run the engine's own command line or another program, judge what is delivered."""

from __future__ import annotations

import json
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from benchmarks.depth.cases import Case
from benchmarks.depth.plain import top1_of_plain_drop
from benchmarks.trained.child import Ended, run_module
from benchmarks.trained.draw import draw, draw_imbalanced
from benchmarks.trained.judge import judge, judge_front
from benchmarks.trained.memory import Row
from benchmarks.trained.sources import NETWORKS, Pictures
from engine.recipe import Recipe

FRONT_OF = 8
"""How many candidates a front is asked for."""


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
        recipe = recipe_of(task.case, task.parent)
        (work / "recipe.json").write_text(recipe.model_dump_json())
        ended = _run_program(task, work)
        row: Row = {"job_seconds": ended.seconds, "cpu_seconds": ended.cpu_seconds, "error": ended.error}
        if ended.error is None:
            row |= _account(task, work)
            row |= judge(task.case.model, task.network, work / "model.onnx", task.data, recipe.deploy, task.case.seed)
            row |= _beside(task, work, row, recipe)
    return row | {"case_seconds": round(time.monotonic() - started, 1)}


def recipe_of(case: Case, parent: Row | None = None) -> Recipe:
    """Return the recipe as a user would write it; `again` gives back the parent's table of times."""
    target = {"pareto": FRONT_OF} if case.kind == "front" else {"latency_ratio": case.latency_ratio}
    return Recipe.model_validate(
        {
            "target": target,
            "method": {"name": "practise" if case.kind in ("units", "recovered") else "auto"},
            "preprocess": _pictures(case).preprocess,
            "deploy": {"batch": case.batch, "threads": case.threads},
            "budget_seconds": case.budget_seconds,
            "seed": case.seed,
            "latency_table": parent["latency_table"] if parent and case.kind == "again" else None,
        }
    )


def _run_program(task: Task, work: Path) -> Ended:
    """Run the engine's command line; or the peer, for as long as its parent's recovery; or the parent's cuts again."""
    arguments = [str(task.network), "--recipe", str(work / "recipe.json"), "--out", str(work)]
    arguments += ["--calibration", str(_drawn(task, work))] if task.case.images else []
    match task.case.kind:
        case "l1-filters":
            seconds = str(_of_parent(task)["stages"]["recover"])
            return run_module("benchmarks.peers.l1_filters", [*arguments, "--recovery-seconds", seconds])
        case "recovered":
            return run_module("benchmarks.depth.same_cuts", [*arguments, "--units", *_of_parent(task)["cut"]])
        case _:
            return run_module("engine", ["compress", *arguments])


def _account(task: Task, work: Path) -> Row:
    """Return what the job says of itself."""
    report = json.loads((work / "report.json").read_text())
    if task.case.kind in ("l1-filters", "recovered"):
        return dict(report)
    units = [unit["name"] for unit in report["units"] if unit["decision"] == "cut"]
    groups = [f"{each['name']} to {each['kept']}" for each in report["groups"] if each["kept"] < each["channels"]]
    return {
        "outcome": report["outcome"],
        "reported_ratio": round(report["latency"]["ratio"]["value"], 4),
        "predicted_ratio": report["predicted_latency_ratio"],
        "units_cut": len(units),
        "groups_cut": len(groups),
        "cut": [*units, *groups],
        "latency_table": report["latency_table"],
        "sha256": report["sha256"],
        "recovery": report["recovery"],
        "data": report["data"],
        "stages": {stage["name"]: stage["seconds"] for stage in report["stages"]},
    }


def _beside(task: Task, work: Path, row: Row, recipe: Recipe) -> Row:
    """Return what only some kinds are asked: the plain drop, the same cuts and file again, the networks of a front."""
    case, parent = task.case, task.parent
    match case.kind:
        case "recovered":
            assert parent is not None
            plain = top1_of_plain_drop(case.model, task.network, task.data, parent["cut"])
            return {"top1_plain": plain, "top1_with_images": parent["top1_after"]}
        case "again":
            assert parent is not None
            return {name: row[key] == parent[key] for name, key in (("same_cuts", "cut"), ("same_file", "sha256"))}
        case "front":
            files = sorted((work / "candidates").glob("*.onnx"))
            return {"front": judge_front(case.model, task.network, files, task.data, recipe.deploy, case.seed)}
        case _:
            return {}


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
