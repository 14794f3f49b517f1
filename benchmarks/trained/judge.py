"""What a delivered file is worth, measured outside the job: top-1 on pictures that no job saw, latency in turn."""

from __future__ import annotations

import functools
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.trained.draw import all_to_test_on
from benchmarks.trained.sources import NETWORKS
from engine.data.calibration import load_images
from engine.data.images import ImageSet
from engine.formats import load
from engine.graph.model import Model
from engine.measure.fidelity import correct
from engine.measure.latency import compare_latency
from engine.measure.statistics import paired_difference
from engine.recipe import Deploy

LATENCY_SECONDS = 30
LATENCY_WIDTH = 0.005

Hits = NDArray[np.bool_]


def judge(name: str, before: Path, after: Path, data: Path, deploy: Deploy, seed: int) -> dict[str, Any]:
    """Return accuracy before and after with the paired difference in points, and the measured latency ratio."""
    delivered = load(after)
    hits = top1_hits(delivered, images_to_test_on(name, before, data))
    return accuracy(hits_of_original(name, before, data), hits) | latency(
        load(before), delivered, deploy, seed, LATENCY_SECONDS
    )


def judge_front(
    name: str, before: Path, front: Sequence[Path], data: Path, deploy: Deploy, seed: int
) -> list[dict[str, float]]:
    """Return the measured ratio and the points of each network of a front, in the order of the files."""
    found = []
    for path in front:
        after = load(path)
        hits = top1_hits(after, images_to_test_on(name, before, data))
        difference = paired_difference(hits_of_original(name, before, data), hits)
        ratio = latency(load(before), after, deploy, seed, LATENCY_SECONDS / len(front))["measured_ratio"]
        found.append({"measured_ratio": ratio, "points": _per_cent(difference.value)})
    return found


def top1_hits(model: Model, images: ImageSet) -> Hits:
    """Return for each test picture whether the network is right."""
    hits = correct(model, images)
    if hits is None:
        raise ValueError(f"The network says nothing of the classes of the {len(images)} test pictures.")
    return hits


@functools.lru_cache(maxsize=8)
def hits_of_original(name: str, network: Path, data: Path) -> Hits:
    """Return for each test picture whether the uncut network is right; asked once a process."""
    return top1_hits(load(network), images_to_test_on(name, network, data))


@functools.lru_cache(maxsize=1)
def images_to_test_on(name: str, network: Path, data: Path) -> ImageSet:
    """Return the pictures that judge this network and that no job is given."""
    pictures = NETWORKS[name].source.test
    with tempfile.TemporaryDirectory() as folder:
        archive = all_to_test_on(pictures, data, Path(folder) / "test.zip")
        return load_images(archive, load(network).inputs[0], pictures.as_inputs(), seed=0)


def accuracy(before: Hits, after: Hits) -> dict[str, Any]:
    """Return top-1 and the paired difference, all in per cent; `hits` are the answers, for pairing with others."""
    difference = paired_difference(before, after)
    return {
        "test_images": len(after),
        "top1_before": _per_cent(before.mean()),
        "top1_after": _per_cent(after.mean()),
        "points": _per_cent(difference.value),
        "points_low": _per_cent(difference.low),
        "points_high": _per_cent(difference.high),
        "hits_before": pack(before),
        "hits": pack(after),
    }


def pack(hits: Hits) -> str:
    """Return the answers as hexadecimal digits, four to a digit."""
    return np.packbits(hits).tobytes().hex()


def unpack(text: str, count: int) -> Hits:
    """Return the `count` answers that `pack` wrote."""
    return np.unpackbits(np.frombuffer(bytes.fromhex(text), np.uint8), count=count).astype(bool)


def latency(before: Model, after: Model, deploy: Deploy, seed: int, seconds: float) -> dict[str, Any]:
    """Return the measured latency of `after` over that of `before`, timed in turn, with its interval."""
    found = compare_latency(before, after, deploy, {}, seed=seed, budget_seconds=seconds, until_width=LATENCY_WIDTH)
    return {
        "measured_ratio": round(found.ratio.value, 4),
        "measured_ratio_low": round(found.ratio.low, 4),
        "measured_ratio_high": round(found.ratio.high, 4),
    }


def _per_cent(share: Any) -> float:
    return round(100 * float(share), 2)
