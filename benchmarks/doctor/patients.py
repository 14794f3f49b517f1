"""The networks that the doctor is tried on, each with the images that it was made for and with foreign ones."""

from __future__ import annotations

import hashlib
import io
import zipfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final, Literal

import numpy as np
import numpy.typing as npt
import onnx_ir as ir
from PIL import Image

from engine.data.preprocess import IMAGENET_MEAN, IMAGENET_STD
from engine.formats import load
from engine.graph.extract import extract
from engine.graph.model import Model
from engine.graph.normalise import normalise

Pixels = npt.NDArray[np.uint8]
Half = Literal["tune", "report"]

RESERVED: Final = 100
"""ImageNet's pictures with the smallest sha1 of their names are other benchmarks' test."""


@dataclass(frozen=True)
class Patient:
    """`mean` and `std` are what the network was trained with, on a scale of 0 to 1.

    `takes_pixels`: the first layer normalises, so that the network takes 0 to 255. `is_headless`: it ends in features,
    and only its batch norms can tell how well images suit it. `half` is the half of the trial that it belongs to.
    """

    name: str
    file: str
    side: int
    half: Half
    mean: tuple[float, ...] = IMAGENET_MEAN
    std: tuple[float, ...] = IMAGENET_STD
    takes_pixels: bool = False
    is_headless: bool = False

    @property
    def sees_photographs(self) -> bool:
        return self.side == 224

    def network(self, data: Path) -> Model:
        """Return the network in plain form."""
        plain = normalise(load(data / self.file))
        if self.is_headless:
            features = [node for node in plain.graph if node.op_type == "Relu"][-1].outputs[0]
            return extract(plain, [str(features.name)])
        return _with_own_scaling(plain, self.mean, self.std) if self.takes_pixels else plain


# EfficientNet-lite0 was trained on -1 to 1: on 200 labelled pictures it is right 87.5 % of the time so, and 77.0 % with
# ImageNet's mean and deviation.
PATIENTS: Final = (
    Patient("resnet20", "cifar10-resnet20.onnx", 32, "tune"),
    Patient("resnet20, takes 0 to 255", "cifar10-resnet20.onnx", 32, "tune", takes_pixels=True),
    Patient("resnet20, headless", "cifar10-resnet20-bn.onnx", 32, "tune", is_headless=True),
    Patient("vit", "cifar10-vit.onnx", 32, "tune"),
    Patient("resnet56", "cifar10-resnet56.onnx", 32, "report"),
    Patient("resnet56, takes 0 to 255", "cifar10-resnet56.onnx", 32, "report", takes_pixels=True),
    Patient("resnet56, headless", "cifar10-resnet56-bn.onnx", 32, "report", is_headless=True),
    Patient("efficientnet-lite0", "imagenet-efficientnet-lite0.onnx", 224, "report", (0.5,) * 3, (0.5,) * 3),
)


def _with_own_scaling(plain: Model, mean: tuple[float, ...], std: tuple[float, ...]) -> Model:
    """Put a normalisation before the network, as some are exported."""
    found = plain.copy()
    graph = found.graph
    (taken,) = graph.inputs
    readers = list(taken.uses())
    gain = _constant(graph, "own_gain", 1 / (255 * np.asarray(std)))
    offset = _constant(graph, "own_offset", -np.asarray(mean) / np.asarray(std))
    times = ir.Node("", "Mul", [taken, gain], name="own_times")
    plus = ir.Node("", "Add", [times.outputs[0], offset], name="own_plus")
    for node in (times, plus):
        node.outputs[0].name = f"{node.name}_value"
        node.outputs[0].type, node.outputs[0].shape = taken.type, taken.shape
    for node, index in readers:
        node.replace_input_with(index, plus.outputs[0])
    graph.insert_before(graph[0], [times, plus])
    return found


def _constant(graph: ir.Graph, name: str, values: npt.NDArray[np.float64]) -> ir.Value:
    shaped = values.reshape(1, -1, 1, 1).astype(np.float32)
    tensor = ir.tensor(shaped, name=name)
    value = ir.Value(
        name=name, shape=ir.Shape(list(shaped.shape)), type=ir.TensorType(ir.DataType.FLOAT), const_value=tensor
    )
    graph.initializers[name] = value
    return value


@cache
def _names(archive: Path) -> tuple[str, ...]:
    """Return the pictures of a zip in an order that has nothing to do with them."""
    with zipfile.ZipFile(archive) as opened:
        names = [name for name in opened.namelist() if name.endswith(".jpg")]
    return tuple(sorted(names, key=lambda name: hashlib.sha1(name.encode(), usedforsecurity=False).hexdigest()))


def own_images(patient: Patient, data: Path, half: Half) -> tuple[Path, tuple[str, ...]]:
    """Return where the patient's own images are, and those that belong to this half of the trial."""
    return _images(patient.sees_photographs, data, half)


def foreign_images(patient: Patient, data: Path, half: Half) -> tuple[Path, tuple[str, ...]]:
    return _images(not patient.sees_photographs, data, half)


def _images(photographs: bool, data: Path, half: Half) -> tuple[Path, tuple[str, ...]]:
    archive = data / ("imagenet-sample.zip" if photographs else "cifar10-train.zip")
    names = _names(archive)[RESERVED:] if photographs else _names(archive)
    return archive, names[0::2] if half == "tune" else names[1::2]


def read(archive: Path, names: tuple[str, ...], side: int) -> Pixels:
    """Return the middles of pictures, (count, side, side, 3); what is smaller or larger is scaled."""
    with zipfile.ZipFile(archive) as opened:
        return np.stack([_middle(opened.read(name), side) for name in names])


def _middle(encoded: bytes, side: int) -> Pixels:
    picture = Image.open(io.BytesIO(encoded)).convert("RGB")
    width, height = picture.size
    if not (side == 224 and min(width, height) >= side):
        scale = side / min(width, height)
        picture = picture.resize(
            (max(round(width * scale), side), max(round(height * scale), side)), Image.Resampling.BICUBIC
        )
    left, top = (picture.size[0] - side) // 2, (picture.size[1] - side) // 2
    return np.asarray(picture.crop((left, top, left + side, top + side)))


def class_of(name: str) -> str:
    return name.split("/")[-2]
