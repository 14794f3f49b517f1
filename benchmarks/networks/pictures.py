"""CIFAR-10's pictures out of a zip, for training: 8-bit until a batch is drawn, so that fifty thousand fit."""

from __future__ import annotations

import io
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional

from engine.data.preprocess import IMAGENET_MEAN, IMAGENET_STD

SIDE = 32


@dataclass(frozen=True)
class Pictures:
    """`pixels` (count, 3, 32, 32) uint8, `labels` (count,) int64 in the sorted order of the class folders."""

    pixels: Tensor
    labels: Tensor


def read_pictures(path: Path) -> Pictures:
    """Decode every `class/name.jpg` of a zip."""
    with zipfile.ZipFile(path) as archive:
        names = sorted(name for name in archive.namelist() if name.endswith(".jpg"))
        pixels = np.stack([np.asarray(Image.open(io.BytesIO(archive.read(name)))) for name in names])
    folders = [name.split("/")[-2] for name in names]
    classes = {folder: index for index, folder in enumerate(sorted(set(folders)))}
    labels = torch.tensor([classes[folder] for folder in folders])
    return Pictures(torch.from_numpy(pixels).permute(0, 3, 1, 2).contiguous(), labels)


def normalise(pixels: Tensor) -> Tensor:
    """Return float32 of the form that every network here takes."""
    mean, std = (torch.tensor(values).reshape(1, 3, 1, 1) for values in (IMAGENET_MEAN, IMAGENET_STD))
    return (pixels.float() / 255 - mean) / std


def vary(images: Tensor, shift: int, generator: torch.Generator) -> Tensor:
    """Flip half of the images and shift each by up to `shift` pixels; zeros, which is the mean colour, come in."""
    count, _, height, width = images.shape
    flipped = torch.rand(count, generator=generator) < 0.5
    images = torch.where(flipped.reshape(-1, 1, 1, 1), images.flip(3), images)
    padded = functional.pad(images, (shift,) * 4)
    top, left = torch.randint(2 * shift + 1, (2, count, 1, 1), generator=generator)
    rows = top + torch.arange(height).reshape(1, -1, 1)  # (count, height, 1)
    columns = left + torch.arange(width).reshape(1, 1, -1)  # (count, 1, width)
    image = torch.arange(count).reshape(-1, 1, 1)
    # (count, height, width, 3) -> (count, 3, height, width)
    return padded.permute(0, 2, 3, 1)[image, rows, columns].permute(0, 3, 1, 2)
