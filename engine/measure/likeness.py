"""How alike one output of two networks is: by value, by direction, and where it is whole numbers by what is equal."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from engine.errors import ModelError, PostconditionFailed
from engine.graph.model import TensorInfo
from engine.measure.statistics import bootstrap
from engine.report import Bounds, OutputFidelity

Rows = npt.NDArray[np.float64]  # (images, values)

TINY = 1e-12


@dataclass
class Likeness:
    """What is kept of each image, or of each run where an output does not keep its images apart."""

    before: TensorInfo
    after: TensorInfo
    errors: list[float] = field(default_factory=list)  # sum of squared differences
    signals: list[float] = field(default_factory=list)  # sum of the original's squares
    cosines: list[float] = field(default_factory=list)
    equal: list[float] = field(default_factory=list)  # the share of equal values, of whole numbers only
    apart: bool = True  # whether each row so far was one image
    incomparable_images: int = 0

    @property
    def name(self) -> str:
        return self.before.name

    def add(self, expected: npt.NDArray[Any], found: npt.NDArray[Any], images: int) -> None:
        """Compare the answers to one run. Raises ModelError and PostconditionFailed, as `compare_fidelity` says."""
        if expected.shape != found.shape:
            self._require_open(expected.shape, found.shape)
            self.incomparable_images += images
            return
        finite = np.isfinite(expected)
        if not np.isfinite(found[finite]).all():
            message = f"Output '{self.name}' of the delivered network has values that are not finite."
            raise PostconditionFailed(message, where=self.name)
        before, after = (rows_of(np.where(finite, output, 0), images) for output in (expected, found))
        self.apart = self.apart and len(before) == images
        if before.shape[1] == 0:
            return  # nothing was found by either, such as no face
        self.errors.extend(((after - before) ** 2).sum(axis=1))
        self.signals.extend((before**2).sum(axis=1))
        self.cosines.extend(_cosines(before, after))
        if expected.dtype.kind in "iub":
            self.equal.extend((before == after).mean(axis=1))

    def result(self) -> OutputFidelity:
        """Return the figures of all images; two networks that never found anything are alike."""
        if not self.errors:
            same = 0.0 if not self.incomparable_images else None
            return OutputFidelity(
                output=self.name,
                relative_error=same,
                cosine=None if same is None else 1.0,
                incomparable_images=self.incomparable_images,
            )
        errors, signals = np.array(self.errors), np.array(self.signals)
        cosines, equal = np.array(self.cosines), np.array(self.equal)
        error = float(_relative_error(errors.sum(), signals.sum()))
        cosine, match = float(cosines.mean()), float(equal.mean()) if len(equal) else None
        return OutputFidelity(
            output=self.name,
            relative_error=error,
            relative_error_95=self._bounds(
                error, lambda drawn: _relative_error(errors[drawn].sum(axis=1), signals[drawn].sum(axis=1)), 0, np.inf
            ),
            cosine=cosine,
            cosine_95=self._bounds(cosine, lambda drawn: cosines[drawn].mean(axis=1), -1, 1),
            match=match,
            match_95=None if match is None else self._bounds(match, lambda drawn: equal[drawn].mean(axis=1), 0, 1),
            incomparable_images=self.incomparable_images,
        )

    def _bounds(
        self, value: float, figure: Callable[[npt.NDArray[np.intp]], Any], least: float, most: float
    ) -> Bounds | None:
        """Draw images anew; between the least and the most that the figure can be."""
        found = bootstrap(value, figure, len(self.errors)) if self.apart else None
        return found and Bounds(low=max(found.low, least), high=min(found.high, most))

    def _require_open(self, expected: tuple[int, ...], found: tuple[int, ...]) -> None:
        """Let sizes differ that neither network fixes, such as how many objects there are."""
        differ = [axis for axis, sizes in enumerate(zip(expected, found, strict=False)) if sizes[0] != sizes[1]]
        if len(expected) == len(found) and all(
            _is_open(info, axis) for info in (self.before, self.after) for axis in differ
        ):
            return
        raise ModelError(
            f"Output '{self.name}' has shape {expected} in one network and {found} in the other. "
            "Compare networks that give outputs of the same shapes.",
            where=self.name,
        )


def rows_of(output: npt.NDArray[Any], images: int) -> Rows:
    """Return (images, values), or all values of the run as one row where the first axis is not the images."""
    rows = images if output.ndim and output.shape[0] == images else 1
    return output.astype(np.float64).reshape(rows, output.size // rows)


def _is_open(info: TensorInfo, axis: int) -> bool:
    """Tell whether a network leaves a size open; it fixes none where it does not even know how many axes there are."""
    return not info.shape or not isinstance(info.shape[axis], int)


def _relative_error(error: Any, signal: Any) -> Any:
    return np.sqrt(error) / np.maximum(np.sqrt(signal), TINY)


def _cosines(before: Rows, after: Rows) -> list[float]:
    """Return one cosine a row; two outputs of nothing but zeros are alike."""
    lengths = [np.linalg.norm(output, axis=1, keepdims=True) for output in (before, after)]
    # each is brought to length 1 first: outputs of 1e-10 have a direction as well
    units = [output / np.where(length > 0, length, 1) for output, length in zip((before, after), lengths, strict=True)]
    cosines = (units[0] * units[1]).sum(axis=1)
    cosines[(before == after).all(axis=1)] = 1.0
    return [float(cosine) for cosine in np.clip(cosines, -1, 1)]
