"""One case: draw its images, run our job or a peer, judge what is delivered; a refusal is a result, too."""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from benchmarks.channels.anatomy import take_apart
from benchmarks.channels.cases import Case
from benchmarks.channels.job import PROGRAMS, account, compress, ended_row, file_for, recipe_of
from benchmarks.channels.untrained import sized, structure
from benchmarks.channels.widths import one_step_wider
from benchmarks.trained.child import run_module
from benchmarks.trained.draw import draw, draw_unlabelled
from benchmarks.trained.judge import images_to_test_on, judge, top1_hits
from benchmarks.trained.memory import Row
from benchmarks.trained.sources import NETWORKS
from engine.formats import load

MOST_RATIO = 0.999
"""A recipe asks for less than the upload's own time."""


@dataclass(frozen=True)
class Task:
    """A case, the network's file, the folder of pictures, and what came of the job that the case starts from."""

    case: Case
    network: Path
    data: Path
    parent: Row | None = None


def run(task: Task) -> Row:
    """Return what came of a case: its `error`, or what was measured."""
    started = time.monotonic()
    if task.parent is not None and task.parent["error"] is not None:
        return {"error": f"the job that it starts from came to nothing: {task.parent['error']}", "case_seconds": 0.0}
    with tempfile.TemporaryDirectory() as folder:
        row = RUNNERS[task.case.kind](task, Path(folder))
    return row | {"case_seconds": round(time.monotonic() - started, 1)}


def _method(task: Task, work: Path) -> Row:
    case, upload = task.case, file_for(task.case, task.network)
    pictures = NETWORKS[case.model].source.train
    recipe = recipe_of(case, pictures.preprocess)
    drawn = draw_unlabelled(pictures, task.data, work / "calibration.zip", case.images, case.seed)
    ended = compress(upload, drawn, recipe, work)
    row = ended_row(ended) | {"upload": upload.name}
    if ended.error is None:
        row |= account(work)
        row |= judge(case.model, upload, work / "model.onnx", task.data, recipe.deploy, case.seed)
        row |= take_apart(case.model, upload, drawn, task.data, recipe, work / "checkpoint")
    return row


def _scratch(task: Task, work: Path) -> Row:
    case = task.case
    pictures = NETWORKS[case.model].source.train
    recipe = recipe_of(case, pictures.preprocess)
    drawn = draw(pictures, task.data, work / "calibration.zip", case.images, case.seed)
    ended = compress(task.network, drawn, recipe, work)
    return ended_row(ended) | (account(work) if ended.error is None else {})


def _peer(task: Task, work: Path) -> Row:
    """Run a peer until it measures what our own job did, and let it train for as long as that recovered."""
    case, ours = task.case, task.parent
    assert ours is not None
    pictures = NETWORKS[case.model].source.train
    recipe = recipe_of(case, pictures.preprocess, min(ours["measured_ratio"], MOST_RATIO))
    (work / "recipe.json").write_text(recipe.model_dump_json())
    drawn = draw_unlabelled(pictures, task.data, work / "calibration.zip", case.images, case.seed)
    module, *options = PROGRAMS[case.what]
    arguments = [str(task.network), "--calibration", str(drawn), "--recipe", str(work / "recipe.json"), *options]
    arguments += ["--recovery-seconds", str(max(ours["stages"]["recover"], 1.0)), "--out", str(work)]
    row = ended_row(run_module(module, arguments))
    if row["error"] is None:
        row |= json.loads((work / "report.json").read_text())
        untrained = top1_hits(load(work / "untrained.onnx"), images_to_test_on(case.model, task.network, task.data))
        row["top1_untrained"] = round(100 * float(untrained.mean()), 2)
        row |= judge(case.model, task.network, work / "model.onnx", task.data, recipe.deploy, case.seed)
    return row


RUNNERS: Mapping[str, Callable[[Task, Path], Row]] = {
    "methods": _method,
    "peers": _peer,
    "scratch": _scratch,
    "widths": lambda task, work: one_step_wider(task.case, task.network, task.parent or {}),
    "structure": lambda task, work: structure(task.case, task.network, work),
    "size": lambda task, work: sized(task.case, task.network, task.data, work),
}
"""Kind of a case -> what runs it, in a folder of its own."""
