"""Whether the closed form ranks blocks as training does: `python -m benchmarks.ranking --data DIR`.

For each network every block is left out alone. PRACTISE trains adapters round the gap by gradient descent and looks at
the error that is left; the engine answers from one pass over the same images. One JSON line a network with Spearman's
rank correlation of the two and the seconds that each took, then a table; both are kept with commit, machine and seed.
Where `benchmarks.peers.practise` has scored the same blocks on the same images already, its file spares the hours.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from scipy.stats import spearmanr

from benchmarks.networks import NETWORKS, load_network
from benchmarks.peers.practise.mimicry import Images
from benchmarks.peers.practise.recipe import PUBLISHED_STEPS, recoverability
from benchmarks.record import Machine, keep, machine
from benchmarks.trained.draw import draw
from benchmarks.trained.sources import NETWORKS as SOURCES
from engine.data.calibration import load_images
from engine.data.images import ImageSet
from engine.data.splits import split
from engine.formats import load
from engine.graph.features import find_features
from engine.graph.folds import fold
from engine.graph.merges import merge
from engine.graph.normalise import normalise
from engine.graph.units import blocks, find_units
from engine.methods.practise import harm
from engine.pricing.study import Study
from engine.recipe import Deploy
from engine.recovery.reference import Reference


@dataclass(frozen=True)
class Scored:
    """What training leaves over for each block, from the input on, in so many steps each, and what that took."""

    errors: dict[str, float]
    steps: int
    seconds: float
    processor_seconds: float


def main() -> None:
    options = _parser().parse_args()
    torch.set_num_threads(options.threads)
    here, results = machine(), []
    for name in options.models:
        images = _images(name, options.data, options.images, options.seed)
        result = _compare(name, options, images, _scored(name, options))
        results.append(result)
        print(json.dumps(result), flush=True)
    table = _table(results, here)
    print(table)
    keep("ranking", here, results, table)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--models", nargs="+", default=["cifar10-resnet20", "cifar10-resnet56"])
    parser.add_argument("--images", type=int, default=500)
    parser.add_argument("--steps", type=int, default=PUBLISHED_STEPS, help="of gradient descent for each block")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--practise", type=Path, help="results of benchmarks.peers.practise: most steps, if not more")
    return parser


def _images(name: str, data: Path, count: int, seed: int) -> ImageSet:
    """Draw the images that a job of this seed is given."""
    pictures = SOURCES[name].source.train
    with tempfile.TemporaryDirectory() as folder:
        drawn = draw(pictures, data, Path(folder) / "drawn.zip", count, seed)
        return load_images(drawn, load(data / f"{name}.onnx").inputs[0], pictures.as_inputs(), seed=seed)


def _scored(name: str, options: argparse.Namespace) -> Scored | None:
    """Return what PRACTISE came to in the most steps of those remembered, None where it is to be asked now."""
    if options.practise is None:
        return None
    asked = {"model": name, "images": options.images, "seed": options.seed}
    rows = [json.loads(line) for line in options.practise.read_text().splitlines()]
    known = [row for row in rows if all(row[key] == value for key, value in asked.items())]
    if not known:
        return None
    row = max(known, key=lambda each: each["score_steps"])
    errors = {block: error for block, error, _ in sorted(row["ranking"])}  # layer1.1, layer1.2 …
    return Scored(errors, row["score_steps"], row["score_seconds"], row["score_cpu_seconds"])


def _compare(name: str, options: argparse.Namespace, images: ImageSet, scored: Scored | None) -> dict[str, Any]:
    ours, our_seconds, our_processor = _timed(lambda: _closed_form(options.data / f"{name}.onnx", images, options))
    theirs = scored or _trained(name, images, options)
    errors = list(theirs.errors.values())
    ours = ours[-len(errors) :]  # the recipe never drops a stage's first block, of which one has an identity shortcut
    agreement = spearmanr(ours, errors)
    return {
        "model": name,
        "images": len(images),
        "seed": options.seed,
        "blocks": len(ours),
        "steps": theirs.steps,
        "rank_correlation": round(float(agreement.statistic), 3),
        "seconds": round(our_seconds, 1),
        "processor_seconds": round(our_processor, 1),
        "trained_seconds": round(theirs.seconds, 1),
        "trained_processor_seconds": round(theirs.processor_seconds, 1),
        "errors_left": [round(error, 5) for error in ours],
        "trained_errors_left": [round(error, 5) for error in errors],
    }


def _closed_form(path: Path, images: ImageSet, options: argparse.Namespace) -> list[float]:
    """Return what the engine finds left over for each block, from the input on; all that it takes is included."""
    model = merge(fold(normalise(load(path))))
    parts, compute = split(images, options.seed), Deploy(threads=options.threads)
    units = tuple(blocks(find_units(model)))
    reference = Reference(model, find_features(model), parts.selection, compute)
    study = Study(model, units, parts.repair, reference, compute, options.seed)
    return list(harm(study, lambda done, doing: None).values())


def _trained(name: str, images: ImageSet, options: argparse.Namespace) -> Scored:
    """Let PRACTISE find what is left over for each block."""
    prepared = Images(torch.from_numpy(images.inputs), NETWORKS[name].side)
    teacher = load_network(name, options.data, prepared.plain()).to(memory_format=torch.channels_last)
    torch.manual_seed(options.seed)

    def all_blocks() -> dict[str, float]:
        return {each.block: recoverability(teacher, each, prepared, options.steps) for each in teacher.droppables()}

    errors, seconds, processor_seconds = _timed(all_blocks)
    return Scored(errors, options.steps, seconds, processor_seconds)


def _timed(work: Any) -> tuple[Any, float, float]:
    """Return what came of it, and the seconds by the clock on the wall and of the processor."""
    wall, processor = time.monotonic(), time.process_time()
    found = work()
    return found, time.monotonic() - wall, time.process_time() - processor


def _table(results: Sequence[dict[str, Any]], here: Machine) -> str:
    lines = [
        "| model | images | blocks | steps of training | rank correlation | closed form | trained |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for r in results:
        lines.append(
            f"| {r['model']} | {r['images']} | {r['blocks']} | {r['steps']} | {r['rank_correlation']:.3f} "
            f"| {r['seconds']:.0f} s, {r['processor_seconds']:.0f} s of processor "
            f"| {r['trained_seconds']:.0f} s, {r['trained_processor_seconds']:.0f} s of processor |"
        )
    return "\n".join([*lines, "", here.sentence()])


if __name__ == "__main__":
    main()
