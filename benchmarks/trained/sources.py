"""Which networks are cut, and where the images of each come from: for calibration, for the test, and from elsewhere."""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from benchmarks.trained.memory import digest
from engine.recipe import Preprocess

CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "secateur-depth"
"""Where the networks that are trained here, a peer's results and finished cases are looked for, unless told."""


@dataclass(frozen=True)
class Pictures:
    """A zip of labelled pictures, and how they become inputs of the network at hand.

    `reserved` of them are a test and are given to no job: the same ones for every seed and every network.
    """

    file: str
    preprocess: dict[str, Any] = field(default_factory=dict)
    reserved: int = 0

    def as_inputs(self) -> Preprocess:
        return Preprocess.model_validate(self.preprocess)


@dataclass(frozen=True)
class Source:
    """Where a network's images come from: a training and a test file, or one file that keeps a test in reserve.

    `foreign` pictures are of another domain. `classes_are_large` says that a class has pictures enough to be drawn
    more often than another.
    """

    train: Pictures
    test: Pictures
    foreign: Pictures
    classes_are_large: bool = True


# EfficientNet-lite's published weights want pixels between -1 and 1: of the 500 images that are not reserved the uncut
# network then gets 88 % right on 100, with ImageNet's mean and deviation 76 %.
_SAMPLE = Pictures(
    "imagenet-sample.zip",
    {"resize": 256, "crop": 224, "mean": [0.5, 0.5, 0.5], "std": [0.5, 0.5, 0.5]},
    reserved=100,
)
CIFAR = Source(
    train=Pictures("cifar10-train.zip"),
    test=Pictures("cifar10-test.zip"),
    foreign=replace(_SAMPLE, preprocess={"resize": 32, "crop": 32}),
)
IMAGENET = Source(
    train=_SAMPLE,
    test=_SAMPLE,
    foreign=Pictures("cifar10-train.zip", {"resize": 224, "crop": 224}),
    classes_are_large=False,
)


@dataclass(frozen=True)
class Network:
    """A trained network. `residual` ones can be cut by PRACTISE, others cannot; `budget_seconds` are for two cores.

    `trained_here` are made by `python -m benchmarks.networks`, the others lie with the data.
    """

    source: Source
    residual: bool = True
    budget_seconds: float = 285
    trained_here: bool = False


NETWORKS: dict[str, Network] = {
    "cifar10-resnet20": Network(CIFAR),
    "cifar10-resnet56": Network(CIFAR),
    "imagenet-efficientnet-lite0": Network(IMAGENET, budget_seconds=1140),
    "vgg-like": Network(CIFAR, residual=False, trained_here=True),
    "mobilenet-like": Network(CIFAR, trained_here=True),
    "cifar10-vit": Network(CIFAR),
}


def find_network(name: str, data: Path, networks: Path | None) -> Path | None:
    """Return the network's file, None where there is none."""
    folder = networks if NETWORKS[name].trained_here else data
    path = folder / f"{name}.onnx" if folder else None
    return path if path and path.exists() else None


def networks_there(names: Sequence[str], data: Path, networks: Path | None) -> dict[str, tuple[Path, str]]:
    """Return the files of the networks that there are, with their digests; say which are not."""
    found = {name: find_network(name, data, networks) for name in names}
    for name in (name for name, path in found.items() if path is None):
        print(f"{name} is left out: no {name}.onnx. Give its folder by --data or --networks.", file=sys.stderr)
    return {name: (path, digest(path)) for name, path in found.items() if path is not None}


def reserved(names: Sequence[str], count: int) -> list[str]:
    """Return the names of the fixed test set: those whose SHA-1 is smallest, whatever else is drawn."""
    return sorted(sorted(names, key=_sha1)[:count])


def _sha1(name: str) -> str:
    return hashlib.sha1(name.encode(), usedforsecurity=False).hexdigest()
