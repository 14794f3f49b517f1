"""Trains a small residual network on scikit-learn's handwritten digits, with all that a user of the service would have.

`python -m examples.digits FOLDER` writes `digits.onnx`, `calibration.zip` (100 training images in class folders) and
`heldout.npz` (images and labels that neither training nor the service has seen).
"""

from __future__ import annotations

import io
import sys
import time
import zipfile
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import Tensor, nn
from torch.nn import functional

SEED = 0
SIDE = 16
HELD_OUT = 500
CALIBRATION_IMAGES = 100
BATCH = 64
EPOCHS = 12
MAX_LEARNING_RATE = 0.02


@dataclass(frozen=True)
class Digits:
    """Grey images (N, SIDE, SIDE) of 8 bits and their labels, split once and for all."""

    train_images: NDArray[np.uint8]
    train_labels: NDArray[np.int64]
    heldout_images: NDArray[np.uint8]
    heldout_labels: NDArray[np.int64]


def read_digits() -> Digits:
    """Read the 1797 digits that come in the package, drawn at twice their 8 x 8 pixels."""
    found = load_digits()
    images = np.stack([_enlarged(image) for image in found.images])
    parts = train_test_split(
        images, found.target.astype(np.int64), test_size=HELD_OUT, random_state=SEED, stratify=found.target
    )
    return Digits(train_images=parts[0], heldout_images=parts[1], train_labels=parts[2], heldout_labels=parts[3])


def _enlarged(image: NDArray[np.float64]) -> NDArray[np.uint8]:
    small = Image.fromarray(np.round(image * 255 / 16).astype(np.uint8))
    return np.asarray(small.resize((SIDE, SIDE), Image.Resampling.BICUBIC))


class Block(nn.Module):
    """A residual block of two 3x3 convolutions; a stride or another width gives its shortcut a 1x1 convolution."""

    def __init__(self, width_in: int, width: int, stride: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(width_in, width, 3, stride, 1, bias=False)
        self.first_norm = nn.BatchNorm2d(width)
        self.second = nn.Conv2d(width, width, 3, 1, 1, bias=False)
        self.second_norm = nn.BatchNorm2d(width)
        is_identity = stride == 1 and width_in == width
        self.shortcut = nn.Identity() if is_identity else nn.Conv2d(width_in, width, 1, stride)

    def forward(self, features: Tensor) -> Tensor:
        inner = functional.relu(self.first_norm(self.first(features)))
        return functional.relu(self.second_norm(self.second(inner)) + self.shortcut(features))


class ResidualNetwork(nn.Module):
    """Three stages of four blocks, 16, 32 and 64 channels wide: ten of the twelve blocks can be removed whole."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(1, 16, 3, 1, 1, bias=False), nn.BatchNorm2d(16), nn.ReLU())
        widths = [16] * 5 + [32] * 4 + [64] * 4
        blocks = [Block(old, new, 1 if old == new else 2) for old, new in pairwise(widths)]
        self.blocks = nn.Sequential(*blocks)
        self.head = nn.Linear(64, 10)

    def forward(self, image: Tensor) -> Tensor:
        features: Tensor = self.blocks(self.stem(image))
        logits: Tensor = self.head(features.mean(dim=(2, 3)))
        return logits


def as_input(images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Turn (N, H, W) pixels into the network's input (N, 1, H, W), 0 to 1: what the recipe's defaults do as well."""
    return (images[:, None] / np.float32(255)).astype(np.float32)


def train(digits: Digits) -> ResidualNetwork:
    """Train for EPOCHS passes with shifts of up to two pixels; the same seed and machine give the same network."""
    torch.set_num_threads(1)  # two threads that must wait for each other crawl as soon as anything else runs
    torch.manual_seed(SEED)
    network = ResidualNetwork().train()
    images, labels = torch.from_numpy(as_input(digits.train_images)), torch.from_numpy(digits.train_labels)
    steps = EPOCHS * (len(images) // BATCH)
    optimiser = torch.optim.AdamW(network.parameters(), lr=MAX_LEARNING_RATE, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, MAX_LEARNING_RATE, total_steps=steps)
    for _ in range(EPOCHS):
        for chosen in torch.randperm(len(images))[: steps // EPOCHS * BATCH].split(BATCH):
            loss = functional.cross_entropy(network(_shifted(images[chosen])), labels[chosen], label_smoothing=0.05)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
    return network.eval()


def _shifted(images: Tensor) -> Tensor:
    """Move a batch by up to two pixels each way, filling with black."""
    down, right = (int(torch.randint(0, 5, ())) for _ in range(2))
    return functional.pad(images, (2, 2, 2, 2))[:, :, down : down + SIDE, right : right + SIDE]


def accuracy(network: ResidualNetwork, images: NDArray[np.uint8], labels: NDArray[np.int64]) -> float:
    with torch.no_grad():
        return float((network(torch.from_numpy(as_input(images))).argmax(1).numpy() == labels).mean())


def export(network: ResidualNetwork, path: Path) -> None:
    """Write the network as ONNX, with a batch of any size."""
    program = torch.onnx.export(
        network,
        (torch.zeros(2, 1, SIDE, SIDE),),
        dynamo=True,
        input_names=["image"],
        output_names=["logits"],
        dynamic_shapes={"image": {0: torch.export.Dim("batch")}},
        verbose=False,
    )
    assert program is not None  # dynamo=True always returns one
    program.save(str(path))


def write_calibration(digits: Digits, path: Path) -> None:
    """Write the first ten training images of each digit as `LABEL/NUMBER.png`."""
    with zipfile.ZipFile(path, "w") as archive:
        for label in range(10):
            chosen = np.flatnonzero(digits.train_labels == label)[: CALIBRATION_IMAGES // 10]
            for number in chosen:
                picture = io.BytesIO()
                Image.fromarray(digits.train_images[number]).save(picture, format="PNG")
                archive.writestr(zipfile.ZipInfo(f"{label}/{number:04d}.png"), picture.getvalue())


def make(folder: Path) -> float:
    """Train, export and write the images; return the held-out accuracy, 0 to 1."""
    folder.mkdir(parents=True, exist_ok=True)
    digits = read_digits()
    network = train(digits)
    export(network, folder / "digits.onnx")
    write_calibration(digits, folder / "calibration.zip")
    np.savez(folder / "heldout.npz", images=as_input(digits.heldout_images), labels=digits.heldout_labels)
    return accuracy(network, digits.heldout_images, digits.heldout_labels)


def main() -> None:
    started_at = time.monotonic()
    found = make(Path(sys.argv[1]))
    print(f"held-out accuracy {found:.2%}, {time.monotonic() - started_at:.0f} s")


if __name__ == "__main__":
    main()
