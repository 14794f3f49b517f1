"""One case: draw its images, run our job or a peer, judge what is delivered; a refusal is a result, too."""

from __future__ import annotations

import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from benchmarks.channels.anatomy import take_apart
from benchmarks.channels.cases import Case
from benchmarks.channels.job import account, compress, file_for, recipe_of
from benchmarks.trained.child import Ended
from benchmarks.trained.draw import draw, draw_unlabelled
from benchmarks.trained.judge import judge
from benchmarks.trained.memory import Row
from benchmarks.trained.sources import NETWORKS


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
    row = _ended(ended) | {"upload": upload.name}
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
    return _ended(ended) | (account(work) if ended.error is None else {})


def _ended(ended: Ended) -> Row:
    return {
        "job_seconds": ended.seconds,
        "cpu_seconds": ended.cpu_seconds,
        "peak_bytes": ended.peak_bytes,
        "error": ended.error,
    }


RUNNERS = {"methods": _method, "scratch": _scratch}
"""Kind of a case -> what runs it, in a folder of its own."""
