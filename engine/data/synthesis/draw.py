"""A set of procedural pictures in place of the images that nobody sent."""

from __future__ import annotations

import numpy as np

from engine.data.images import ImageSet, Inputs
from engine.data.preprocess import InputForm, input_form, prepare
from engine.data.synthesis import SYNTHESES, Synthesis
from engine.errors import CalibrationMismatch
from engine.graph.model import TensorInfo
from engine.recipe import Preprocess


def draw_images(model_input: TensorInfo, preprocess: Preprocess, count: int, seed: int) -> ImageSet:
    """Draw `count` pictures of the network's size, each kind in turn, and prepare them as photographs would be.

    Every picture has its own seed: the first 50 of a set of 200 are the set of 50. Raises CalibrationMismatch where the
    input is not a picture.
    """
    # Drawn at the network's size, they need neither resizing nor cropping.
    form = input_form(model_input, preprocess)
    exact = input_form(model_input, preprocess.model_copy(update={"resize": None, "crop": None}))
    if not form.takes_pictures:
        raise CalibrationMismatch(
            f"The network's input '{form.name}' has shape {model_input.shape}: no picture can be drawn for it. "
            "Send calibration inputs as an .npz of float32 arrays.",
            where=form.name,
        )
    kinds = list(SYNTHESES)
    names = tuple(f"{kinds[index % len(kinds)]}[{index}]" for index in range(count))
    inputs = np.empty((count, *form.drawn_shape), np.float32)
    for index, name in enumerate(names):
        inputs[index] = _draw(SYNTHESES[kinds[index % len(kinds)]], form, exact, [seed, index], name)
    return ImageSet(inputs, None, names, notes=(f"drew {count} procedural pictures: {', '.join(kinds)}",))


def _draw(synthesis: Synthesis, form: InputForm, exact: InputForm, seed: list[int], name: str) -> Inputs:
    height, width, channels = form.drawn_size
    canvas = synthesis(np.random.default_rng(seed), height, width, channels)
    return prepare(np.round(canvas * 255).astype(np.uint8), exact, name)
