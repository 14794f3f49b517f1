"""One set of images before one network, as far as it is mended: what each look at it finds and what it changes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from engine.data.images import Inputs
from engine.data.scaling import Scaling
from engine.data.sureness import Answer
from engine.diagnosis import Finding
from engine.doctor.probe import Probe
from engine.doctor.sample import Sample
from engine.input_form import InputForm
from engine.recipe import Preprocess

Pixels = npt.NDArray[np.float32]


class NotExamined(Exception):
    """This ailment cannot be looked for here; the message says why."""


@dataclass(frozen=True)
class Look:
    """What one look found: the figures it went by, and a finding where something is amiss."""

    figures: dict[str, float]
    finding: Finding | None = None


@dataclass
class Case:
    """`pixels` (count, height, width, channels), 0 to 255, and `scaling` are the images as the looks so far mend them.

    `values` are the images of a float array in one block, None for pixels. What the recipe has to say is in `mends`.
    `is_opaque`: the values are too coarse to tell more by the network.
    """

    sample: Sample
    form: InputForm
    preprocess: Preprocess
    probe: Probe
    values: npt.NDArray[Any] | None = None
    pixels: Pixels | None = None
    scaling: Scaling | None = None
    mends: dict[str, Any] = field(default_factory=dict)
    is_opaque: bool = False
    _asked: dict[str, Answer] = field(default_factory=dict)

    @property
    def comes_as_pixels(self) -> bool:
        return self.sample.kind != "float array"

    def inputs(self, pixels: Pixels, scaling: Scaling) -> Inputs:
        """Turn pixels into what the network takes."""
        scaled = scaling.apply(pixels)
        return scaled.transpose(0, 3, 1, 2) if self.form.preprocess.layout == "NCHW" else scaled

    def ask(self, word: str, pixels: Pixels, scaling: Scaling) -> Answer:
        """Ask the network about these, once for each word. Raises NotExamined where it cannot tell."""
        if word not in self._asked:
            self._require_answers()
            self._asked[word] = self.probe.ask(self.inputs(pixels, scaling))
        return self._asked[word]

    def answer(self) -> Answer:
        """Return what the network says of the images as they are mended so far."""
        pixels, scaling = self.ready()
        return self.ask("mended", pixels, scaling)

    def mend(self, pixels: Pixels, scaling: Scaling) -> None:
        """Take these for the images from now on."""
        self.pixels, self.scaling = pixels, scaling
        self._asked.clear()

    def ready(self) -> tuple[Pixels, Scaling]:
        """Return pixels and scaling, once they can be told."""
        if self.pixels is None or self.scaling is None:
            raise NotExamined("The images could not be brought into the form that the network takes.")
        return self.pixels, self.scaling

    def scores(self) -> npt.NDArray[np.float64]:
        """Return the scores of the classes of each image, as they are mended so far. Raises NotExamined."""
        scores = self.answer().scores
        if scores is None:
            raise NotExamined("The network scores no classes, and its batch norms cannot tell this.")
        return scores

    def _require_answers(self) -> None:
        """Raise NotExamined unless the network can be asked how well the images suit it."""
        if not self.probe.can_tell:
            raise NotExamined("The network scores no classes and keeps no batch norm, so it cannot be asked.")
        if self.is_opaque:
            raise NotExamined("The values are too coarse; mend that first.")
        if self.pixels is not None and len(self.pixels) < FEW:
            raise NotExamined(f"{len(self.pixels)} images are too few to tell chance from cause; send {FEW} or more.")


FEW = 8
