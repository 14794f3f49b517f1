"""One JSON line for each network, number of images, seed and latency ratio, into a file; goes on where it stopped."""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.networks import NETWORKS
from benchmarks.peers.practise.practise import Practise, PractiseResult
from benchmarks.peers.practise.recipe import PUBLISHED_STEPS, BlockScore, Scores, Seconds
from benchmarks.trained.draw import draw
from benchmarks.trained.judge import accuracy, hits_of_original, images_to_test_on, top1_hits
from benchmarks.trained.sources import NETWORKS as SOURCES
from benchmarks.trained.sources import find_network
from engine.data.calibration import load_images
from engine.graph.model import TensorInfo
from engine.recipe import Deploy

Row = dict[str, Any]

MODELS = [name for name in NETWORKS if SOURCES[name].residual]
DEPLOY = Deploy(batch=8, threads=1)
LARGE = 256
"""The side that photographs come to the recipe with: random crops want more than the middle that the network takes."""


@dataclass(frozen=True)
class Job:
    """All ratios of one network, number of images and seed: they share their scores."""

    model: str
    images: int
    seed: int
    scoring_steps: int
    tuning_steps: int


def main() -> None:
    options = _parser().parse_args()
    torch.set_num_threads(options.threads)
    for model in options.models:
        network = find_network(model, options.data, options.networks)
        if network is None:
            raise SystemExit(f"There is no {model}.onnx. Give its folder by --data or --networks.")
        practise = Practise(model, network.parent, DEPLOY)
        for images, seed in product(options.images, options.seeds):
            job = Job(model, images, seed, options.scoring_steps, options.tuning_steps)
            for row in _run(practise, job, options.ratios, options.data, network, _known(options.results)):
                with options.results.open("a") as results:
                    results.write(json.dumps(row) + "\n")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("python -m benchmarks.peers.practise", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder of networks and pictures")
    parser.add_argument("--networks", type=Path, help="folder of the networks that `benchmarks.networks` trained")
    parser.add_argument("--models", nargs="+", choices=MODELS, default=MODELS)
    parser.add_argument("--images", nargs="+", type=int, default=[500, 50])
    parser.add_argument("--ratios", nargs="+", type=float, default=[0.8, 0.7, 0.6])
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--scoring-steps", type=int, default=PUBLISHED_STEPS, help="of each block's adapters")
    parser.add_argument("--tuning-steps", type=int, default=PUBLISHED_STEPS)
    parser.add_argument("--threads", type=int, default=1, help="of the training")
    parser.add_argument("--results", type=Path, required=True, help="file of JSON lines, added to")
    return parser


def _known(results: Path) -> list[Row]:
    return [json.loads(line) for line in results.read_text().splitlines()] if results.exists() else []


def _run(
    practise: Practise, job: Job, ratios: Sequence[float], data: Path, network: Path, known: Sequence[Row]
) -> Iterator[Row]:
    """Yield the rows that are not there yet; scores of the same job are taken from those that are."""
    scored = [row for row in known if _is_scored_alike(row, job)]
    done = {row["latency_ratio"] for row in scored if row["tune_steps"] == job.tuning_steps}
    left = [ratio for ratio in ratios if ratio not in done]
    if not left:
        return
    results = practise.run(
        _inputs(job, data),
        left,
        scoring_steps=job.scoring_steps,
        tuning_steps=job.tuning_steps,
        seed=job.seed,
        scores=_scores(scored[0]) if scored else None,
    )
    for result in results:
        hits = top1_hits(result.tuned.model, images_to_test_on(job.model, network, data))
        yield _row(job, result) | accuracy(hits_of_original(job.model, network, data), hits)


def _inputs(job: Job, data: Path) -> NDArray[np.float32]:
    """Draw the images that the engine is given for this seed."""
    pictures = SOURCES[job.model].source.train
    preprocess = pictures.as_inputs()
    if NETWORKS[job.model].side != 32:
        preprocess = preprocess.model_copy(update={"resize": LARGE, "crop": LARGE})
    any_size = TensorInfo("image", "float32", ("batch", 3, None, None))
    with tempfile.TemporaryDirectory() as folder:
        drawn = draw(pictures, data, Path(folder) / "drawn.zip", job.images, job.seed)
        return load_images(drawn, any_size, preprocess, seed=job.seed).inputs


def _row(job: Job, result: PractiseResult) -> Row:
    scores, tuned = result.scores, result.tuned
    return {
        "model": job.model,
        "images": job.images,
        "latency_ratio": result.latency_ratio,
        "seed": job.seed,
        "measured_ratio": round(tuned.ratio.value, 4),
        "measured_ratio_low": round(tuned.ratio.low, 4),
        "measured_ratio_high": round(tuned.ratio.high, 4),
        "units_cut": len(tuned.blocks),
        "dropped": tuned.blocks,
        "ranking": [[each.block, each.recoverability, each.latency_share] for each in scores.ranking],
        "notes": scores.notes,
        "threads": torch.get_num_threads(),
        **_cost("score", scores.steps, scores.seconds),
        **_cost("tune", tuned.steps, tuned.seconds),
    }


def _cost(stage: str, steps: int, seconds: Seconds) -> Row:
    return {
        f"{stage}_steps": steps,
        f"{stage}_seconds": round(seconds.wall, 2),
        f"{stage}_cpu_seconds": round(seconds.cpu, 2),
    }


def _is_scored_alike(row: Row, job: Job) -> bool:
    asked = {"model": job.model, "images": job.images, "seed": job.seed, "score_steps": job.scoring_steps}
    return all(row[key] == value for key, value in asked.items())


def _scores(row: Row) -> Scores:
    ranking = tuple(BlockScore(*each) for each in row["ranking"])
    return Scores(ranking, row["score_steps"], Seconds(row["score_seconds"], row["score_cpu_seconds"]))


if __name__ == "__main__":
    main()
