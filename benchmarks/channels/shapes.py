"""Networks of which only structure and time are asked: exports with random weights, made where they are not there."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from benchmarks.networks.export import export
from benchmarks.zoo.export import exported
from benchmarks.zoo.families import FAMILIES, build

OPSET = 18
SIZED_SIDE = 224


@dataclass(frozen=True)
class Structure:
    """An export of the zoo, of batch 1. `noise_images` are what our job may look at; a peer looks at none."""

    family: str
    budget_seconds: float = 600
    noise_images: int = 16

    @property
    def side(self) -> int:
        return FAMILIES[self.family].pixels


STRUCTURES = {
    "vit_b_16": Structure("vit"),
    "convnext_tiny": Structure("convnext"),
    "swin_t": Structure("swin"),
}


def structure_file(model: str, cache: Path) -> Path:
    """Return the export of one of STRUCTURES."""
    return exported(STRUCTURES[model].family, OPSET, cache)


def sized_file(cache: Path) -> Path:
    """Return torchvision's ResNet-50 at 224 pixels, any batch, with random weights."""
    path = cache / f"resnet50-{SIZED_SIDE}-any-batch.onnx"
    if not path.exists():
        cache.mkdir(parents=True, exist_ok=True)
        export(build("resnet"), SIZED_SIDE, path)
    return path
