"""Cases of random weights: what the clock gains on exports of transformers, and time and memory of a larger network."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from benchmarks.channels.cases import OURS, Case
from benchmarks.channels.job import PROGRAMS, account, compress, ended_row, recipe_of
from benchmarks.channels.shapes import STRUCTURES, Structure, sized_file, structure_file
from benchmarks.peers import SPARSITY
from benchmarks.trained.child import run_module
from benchmarks.trained.draw import draw_unlabelled
from benchmarks.trained.judge import latency
from benchmarks.trained.memory import Row
from benchmarks.trained.sources import IMAGENET
from engine.formats import load
from engine.graph.normalise import normalise
from engine.measure.cost import count
from engine.recipe import Deploy

LATENCY_SECONDS = 30


def structure(case: Case, cache: Path, work: Path) -> Row:
    """Return how much faster an export gets by our job, or by a peer that removes half of the channels."""
    of, before = STRUCTURES[case.model], structure_file(case.model, cache)
    row = _ours(case, of, before, work) if case.what == OURS else _by_peer(case, of, before, work)
    if row["error"] is not None:
        return row
    deploy, first, second = Deploy(batch=case.batch, threads=case.threads), load(before), load(work / "model.onnx")
    try:
        timed = latency(first, second, deploy, case.seed, LATENCY_SECONDS)
    except Exception as error:  # the runtime's errors share no public base class
        return row | {"error": f"invalid: {str(error).strip().splitlines()[0][:300]}"}
    macs = count(normalise(second), {}).macs / max(count(normalise(first), {}).macs, 1)
    return row | timed | {"macs_ratio": round(macs, 4)}


def sized(case: Case, cache: Path, data: Path, work: Path) -> Row:
    """Return seconds and peak memory of a job on a network of ResNet-50's size, on pictures or without any."""
    pictures = IMAGENET.train
    calibration = None
    if case.images:
        calibration = draw_unlabelled(pictures, data, work / "calibration.zip", case.images, case.seed)
    ended = compress(sized_file(cache), calibration, recipe_of(case, pictures.preprocess), work)
    return ended_row(ended) | (account(work) if ended.error is None else {})


def _ours(case: Case, of: Structure, before: Path, work: Path) -> Row:
    noise = np.random.default_rng(case.seed).standard_normal((of.noise_images, 3, of.side, of.side), np.float32)
    np.save(work / "noise.npy", noise)
    ended = compress(before, work / "noise.npy", recipe_of(case, {}), work)
    return ended_row(ended) | (account(work) if ended.error is None else {})


def _by_peer(case: Case, of: Structure, before: Path, work: Path) -> Row:
    module, *options = PROGRAMS[case.what]
    family = ["--family", of.family] if case.what.startswith("torch") else []
    arguments = [str(before), "--sparsity", str(SPARSITY), *options, *family, "--out", str(work)]
    return ended_row(run_module(module, arguments))
