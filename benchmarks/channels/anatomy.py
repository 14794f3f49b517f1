"""A job's cuts taken apart: without any repair, with the closed form alone, and whether the surgery itself is right."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from benchmarks.channels.cuts import Told, counted, cuts_of, told_by
from benchmarks.trained.judge import images_to_test_on, top1_hits
from benchmarks.trained.memory import Row
from benchmarks.zoo.measure import distance
from engine.execution.runtime import open_session
from engine.execution.runtime import run as run_in_runtime
from engine.graph.channels.ignore import ignore_channels
from engine.graph.channels.remove import remove_channels
from engine.graph.cuts import Cut, channels_in, remove
from engine.graph.merges import merge
from engine.graph.model import Model
from engine.progress import Progress
from engine.recipe import Recipe
from engine.recovery.closed_form import cut_and_repair
from engine.subject import Subject, prepare

LAW_IMAGES = 8


def take_apart(name: str, network: Path, calibration: Path, data: Path, recipe: Recipe, checkpoint: Path) -> Row:
    """Return top-1 of the cuts alone and of the closed form, and the law's largest error; {} where nothing was cut."""
    told = told_by(checkpoint)
    if told is None:
        return {}
    subject = prepare(network, calibration, recipe, Progress())
    cuts = cuts_of(subject.model, told)
    closed = cut_and_repair(
        subject.model, cuts, subject.split.repair, subject.split.selection, subject.compute, seed=recipe.seed
    )
    return {
        **counted(told),
        "top1_plain": _top1(name, network, merge(remove(subject.model, cuts)), data),
        "top1_closed_form": _top1(name, network, merge(closed), data),
        "law": law_error(subject, cuts),
        "cuts": told,
    }


def law_error(subject: Subject, cuts: Sequence[Cut]) -> float | None:
    """Return how far channels removed are from channels ignored, of the largest number; None where no channel went."""
    gone = channels_in(cuts)
    if not gone:
        return None
    images = subject.split.repair.take(np.arange(min(LAW_IMAGES, len(subject.split.repair))))
    feed = {subject.model.inputs[0].name: images.inputs}
    removed, ignored, whole = (
        run_in_runtime(open_session(model), feed)
        for model in (remove_channels(subject.model, gone), ignore_channels(subject.model, gone), subject.model)
    )
    return distance(removed, ignored, whole)


def without_repair(model: Model, told: Told) -> Model:
    """Return the plain form without these cuts and with nothing else done to it."""
    return merge(remove(model, cuts_of(model, told)))


def _top1(name: str, network: Path, model: Model, data: Path) -> float:
    hits = top1_hits(model, images_to_test_on(name, network, data))
    return round(100 * float(hits.mean()), 2)
