"""Our executor against ONNX Runtime on random inputs: the promise that what we train is what will be deployed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from engine.execution.executor import Executor
from engine.execution.runtime import open_session, run
from engine.formats import load
from engine.graph.model import Model, TensorInfo
from engine.recipe import Architecture, Strict

_BATCH, _CHANNELS, _SIDE, _LENGTH = 2, 3, 224, 16
"""Sizes given to dynamic axes: of images (four axes) each its own, of anything else the length."""


class CheckResult(Strict):
    """Largest difference over largest value of each output, and the largest of these."""

    relative_errors: dict[str, float]
    relative_error: float


def check(path: Path, seed: int = 0, architecture: Architecture | None = None) -> CheckResult:
    """Run a network both ways on the same random inputs. Raises a ModelError where either refuses it."""
    model = load(path, architecture)
    inputs = random_inputs(model, seed)
    reference = run(open_session(model), inputs)
    with torch.no_grad():
        ours = Executor(model)({name: torch.from_numpy(array) for name, array in inputs.items()})
    errors = {name: relative_error(ours[name].numpy(), array) for name, array in reference.items()}
    return CheckResult(relative_errors=errors, relative_error=max(errors.values()))


def random_inputs(model: Model, seed: int) -> dict[str, NDArray[Any]]:
    """Draw one array for each input; axes of one name get one size, integers are 0 or 1."""
    generator = np.random.default_rng(seed)
    sizes: dict[str, int] = {}
    return {info.name: _draw(info, generator, sizes) for info in model.inputs}


def relative_error(found: NDArray[Any], wanted: NDArray[Any]) -> float:
    """Return max|found - wanted| / max|wanted|; infinite where shapes differ or only one side is a number."""
    if found.shape != wanted.shape:
        return float("inf")
    if wanted.size == 0:
        return 0.0
    a, b = found.astype(np.float64), wanted.astype(np.float64)
    if not np.array_equal(np.isfinite(a), np.isfinite(b)):
        return float("inf")
    a, b = np.nan_to_num(a), np.nan_to_num(b)
    difference, largest = float(np.abs(a - b).max()), float(np.abs(b).max())
    return difference if largest == 0 else difference / largest


def _draw(info: TensorInfo, generator: np.random.Generator, sizes: dict[str, int]) -> NDArray[Any]:
    shape = [_size(info, axis, sizes) for axis in range(len(info.shape))]
    dtype = np.dtype(info.dtype)
    if dtype.kind == "f":
        return generator.standard_normal(shape).astype(dtype)
    return generator.integers(0, 2, shape).astype(dtype)


def _size(info: TensorInfo, axis: int, sizes: dict[str, int]) -> int:
    size = info.shape[axis]
    if isinstance(size, int):
        return size
    if axis == 0:
        usual = _BATCH
    elif len(info.shape) == 4:
        usual = _CHANNELS if axis == 1 else _SIDE
    else:
        usual = _LENGTH
    return usual if size is None else sizes.setdefault(size, usual)
