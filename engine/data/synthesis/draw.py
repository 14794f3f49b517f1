"""A set of procedural pictures in place of the images that nobody sent."""

from __future__ import annotations

import io
import time

import numpy as np
from PIL import Image

from engine.data.images import ImageSet, Inputs, Pixels
from engine.data.preprocess import prepare
from engine.data.synthesis import SYNTHESES, Synthesis
from engine.errors import CalibrationMismatch
from engine.graph.model import TensorInfo
from engine.input_form import InputForm, input_form
from engine.recipe import Preprocess

TURNS = ("scene", "dead_leaves", "scene", "shader")
"""Which kind comes when; scenes are most like photographs, the others keep the set from being of one kind."""

SIDE_MOST = 128
"""Larger pictures are drawn at this size and enlarged: photographs that fill a network's input are no sharper."""

JPEG_QUALITIES = (60, 95)

LEAST_DRAWN = 32
"""Drawn however long it takes: with fewer there is nothing to repair from."""


def draw_images(
    model_input: TensorInfo, preprocess: Preprocess, count: int, seed: int, *, seconds: float = float("inf")
) -> ImageSet:
    """Draw `count` pictures of the network's size, kinds in turn, and prepare them as photographs would be.

    Every picture has its own seed: the first 50 of a set of 200 are the set of 50. The set ends early, with 32 pictures
    or more, when the seconds are over. Raises CalibrationMismatch where the input is not a picture.
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
    started = time.monotonic()
    names: list[str] = []
    inputs = np.empty((count, *form.drawn_shape), np.float32)
    for index in range(count):
        if index >= LEAST_DRAWN and time.monotonic() - started > seconds:
            break
        kind = TURNS[index % len(TURNS)]
        names.append(f"{kind}[{index}]")
        inputs[index] = _draw(SYNTHESES[kind], form, exact, [seed, index], names[-1])
    kinds = ", ".join(sorted(set(TURNS)))
    return ImageSet(
        inputs[: len(names)], None, tuple(names), notes=(f"drew {len(names)} procedural pictures: {kinds}",)
    )


def _draw(synthesis: Synthesis, form: InputForm, exact: InputForm, seed: list[int], name: str) -> Inputs:
    height, width, channels = form.drawn_size
    generator = np.random.default_rng(seed)
    part = min(1.0, SIDE_MOST / max(height, width))
    canvas = synthesis(generator, round(height * part) or 1, round(width * part) or 1, channels)
    pixels = enlarged(np.round(canvas * 255).astype(np.uint8), height, width)
    quality = int(generator.integers(*JPEG_QUALITIES, endpoint=True))
    return prepare(compressed(pixels, quality) if channels in (1, 3) else pixels, exact, name)


def enlarged(pixels: Pixels, height: int, width: int) -> Pixels:
    """Return (height, width, channels) pixels of another size, bicubic."""
    if pixels.shape[:2] == (height, width):
        return pixels
    planes = [
        Image.fromarray(plane).resize((width, height), Image.Resampling.BICUBIC) for plane in pixels.transpose(2, 0, 1)
    ]
    return np.stack([np.asarray(plane) for plane in planes], axis=2)


def compressed(pixels: Pixels, quality: int) -> Pixels:
    """Return grey or coloured pixels with the traces that JPEG leaves, as nearly every photograph has them."""
    stream = io.BytesIO()
    Image.fromarray(pixels if pixels.shape[2] == 3 else pixels[:, :, 0]).save(stream, "JPEG", quality=quality)
    return np.asarray(Image.open(stream)).reshape(pixels.shape)
