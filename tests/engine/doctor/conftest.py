"""A tiny network that knows four kinds of picture, trained in closed form, and pictures of these and of other kinds."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

from engine.data.preprocess import IMAGENET_MEAN, IMAGENET_STD

SIDE, CLASSES, FILTERS, POOLED = 16, 4, 24, 4

Pixels = npt.NDArray[np.uint8]


def smooth_fields(count: int, coarse: int, generator: np.random.Generator) -> npt.NDArray[np.float32]:
    """Return (count, side, side, 3) fields of about -1 to 1 without sharp edges."""
    drawn = generator.uniform(-1, 1, (count, 3, coarse, coarse)).astype(np.float32)
    planes = [
        np.asarray(Image.fromarray(plane).resize((SIDE, SIDE), Image.Resampling.BICUBIC))
        for image in drawn
        for plane in image
    ]
    return np.stack(planes).reshape(count, 3, SIDE, SIDE).transpose(0, 2, 3, 1)


def pictures(count: int, seed: int, kinds: int = 0, classes: npt.NDArray[np.intp] | None = None) -> Pixels:
    """Draw pictures of the four classes in turn; with `kinds` other than 0, of four that are foreign to the network."""
    generator = np.random.default_rng([seed, 7])
    templates = smooth_fields(CLASSES, 5, np.random.default_rng([kinds, 1]))
    shown = np.arange(count) % CLASSES if classes is None else classes
    moved = np.stack([np.roll(templates[shown[row]], generator.integers(-1, 2, 2), (0, 1)) for row in range(count)])
    values = 128 + 75 * moved + 45 * smooth_fields(count, 8, generator) + 8 * generator.standard_normal(moved.shape)
    values += 25 * generator.standard_normal((count, 1, 1, 1))
    return np.clip(values, 0, 255).round().astype(np.uint8)


def ready(pixels: Pixels) -> npt.NDArray[np.float32]:
    """Return what the network takes: ImageNet's normalisation, channels first."""
    values = (pixels / 255 - np.asarray(IMAGENET_MEAN)) / np.asarray(IMAGENET_STD)
    return np.ascontiguousarray(values.transpose(0, 3, 1, 2), np.float32)


@pytest.fixture(scope="session")
def network(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Random filters, pooled, and a linear layer that ridge regression finds."""
    path = tmp_path_factory.mktemp("doctor") / "network.onnx"
    onnx.save(_model(*_trained()), path)
    return path


@pytest.fixture(scope="session")
def headless(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same filters with a batch norm behind them, and no scores of classes."""
    path = tmp_path_factory.mktemp("doctor") / "headless.onnx"
    filters, *_ = _trained()
    maps = _maps(ready(pictures(400, seed=1)), filters)
    ones, zeros = np.ones(FILTERS, np.float32), np.zeros(FILTERS, np.float32)
    weights = {
        "filters": filters,
        "scale": ones,
        "shift": zeros,
        "mean": maps.mean(axis=(0, 2, 3)).astype(np.float32),
        "variance": maps.var(axis=(0, 2, 3)).astype(np.float32),
    }
    nodes = [
        helper.make_node("Conv", ["image", "filters"], ["maps"], name="conv"),
        helper.make_node("BatchNormalization", ["maps", "scale", "shift", "mean", "variance"], ["even"], name="norm"),
        helper.make_node("Relu", ["even"], ["seen"], name="relu"),
    ]
    output = helper.make_tensor_value_info("seen", TensorProto.FLOAT, ["batch", FILTERS, SIDE - 2, SIDE - 2])
    onnx.save(_packed(nodes, weights, output), path)
    return path


def _trained() -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    generator = np.random.default_rng(0)
    filters = (generator.standard_normal((FILTERS, 3, 3, 3)) / 5).astype(np.float32)
    images = np.concatenate([pictures(800, seed=1)])
    features = _features(ready(images), filters)
    with_bias = np.concatenate([features, np.ones((len(features), 1))], axis=1)
    wanted = 8.0 * np.eye(CLASSES)[np.arange(len(images)) % CLASSES]
    gram = with_bias.T @ with_bias + 5.0 * np.eye(with_bias.shape[1])
    found = np.linalg.solve(gram, with_bias.T @ wanted).astype(np.float32)
    return filters, found[:-1], found[-1]


def _features(inputs: npt.NDArray[np.float32], filters: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
    maps = np.maximum(_maps(inputs, filters), 0)
    trimmed = maps[:, :, : SIDE - 4, : SIDE - 4].reshape(len(maps), FILTERS, 3, POOLED, 3, POOLED)
    return np.asarray(trimmed.mean(axis=(3, 5)).reshape(len(maps), -1), np.float64)


def _maps(inputs: npt.NDArray[np.float32], filters: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
    windows = np.lib.stride_tricks.sliding_window_view(inputs, (3, 3), axis=(2, 3))
    return np.asarray(np.einsum("nchwij,fcij->nfhw", windows, filters, optimize=True))


def _model(
    filters: npt.NDArray[np.float32], matrix: npt.NDArray[np.float32], bias: npt.NDArray[np.float32]
) -> onnx.ModelProto:
    nodes = [
        helper.make_node("Conv", ["image", "filters"], ["maps"], name="conv"),
        helper.make_node("Relu", ["maps"], ["seen"], name="relu"),
        helper.make_node("Slice", ["seen", "from", "to", "axes"], ["trimmed"], name="trim"),
        helper.make_node("AveragePool", ["trimmed"], ["means"], kernel_shape=[POOLED] * 2, strides=[POOLED] * 2),
        helper.make_node("Flatten", ["means"], ["flat"], name="flat"),
        helper.make_node("Gemm", ["flat", "matrix", "bias"], ["scores"], name="head"),
    ]  # fmt: skip
    weights = {
        "filters": filters,
        "matrix": matrix,
        "bias": bias,
        "from": np.array([0, 0]),
        "to": np.array([SIDE - 4, SIDE - 4]),
        "axes": np.array([2, 3]),
    }
    return _packed(nodes, weights, helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["batch", CLASSES]))


def _packed(
    nodes: list[onnx.NodeProto], weights: dict[str, npt.NDArray[Any]], output: onnx.ValueInfoProto
) -> onnx.ModelProto:
    taken = helper.make_tensor_value_info("image", TensorProto.FLOAT, ["batch", 3, SIDE, SIDE])
    tensors = [numpy_helper.from_array(values, name) for name, values in weights.items()]
    graph = helper.make_graph(nodes, "four kinds of picture", [taken], [output], tensors)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)


Save = Callable[..., Path]


@pytest.fixture
def save(tmp_path: Path) -> Save:
    def save(images: npt.NDArray[np.generic], labels: npt.NDArray[np.generic] | None = None) -> Path:
        path = tmp_path / "images.npz"
        if labels is None:
            np.savez(path, images=images)
        else:
            np.savez(path, images=images, labels=labels)
        return path

    return save
