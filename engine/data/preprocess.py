"""From 8-bit pixels to what the network takes: resize, crop, scale, normalise, lay out. Opens no file."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from PIL import Image

from engine.data.images import Inputs, Pixels
from engine.errors import CalibrationMismatch
from engine.input_form import InputForm, check_fits, require_values
from engine.recipe import Preprocess

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


def prepare(pixels: Pixels, form: InputForm, where: str) -> Inputs:
    """Turn (height, width, channels) pixels into one input of the network, without the batch dimension.

    Raises CalibrationMismatch, naming the image `where`, when the result would not fit.
    """
    inputs = _normalise(frame(pixels, form.preprocess, where), form)
    if form.preprocess.layout == "NCHW":
        inputs = np.ascontiguousarray(inputs.transpose(2, 0, 1))
    check_fits(inputs.shape, form, where)
    return inputs


def frame(pixels: Pixels, preprocess: Preprocess, where: str) -> Pixels:
    """Resize and crop (height, width, channels) pixels. Raises CalibrationMismatch where the crop is larger."""
    return _centre_crop(_resize(pixels, preprocess.resize), preprocess.crop, where)


def _resize(pixels: Pixels, shorter_side: int | None) -> Pixels:
    """Scale so that the shorter side has this many pixels; bilinear over the area that each new pixel covers."""
    height, width = pixels.shape[:2]
    if shorter_side is None or shorter_side == min(height, width):
        return pixels
    longer = int(shorter_side * max(height, width) / min(height, width))
    size = (longer, shorter_side) if width > height else (shorter_side, longer)
    if pixels.shape[2] == 3:
        return np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.BILINEAR))
    planes = [Image.fromarray(plane).resize(size, Image.Resampling.BILINEAR) for plane in np.moveaxis(pixels, 2, 0)]
    return np.stack([np.asarray(plane) for plane in planes], axis=2)


def _centre_crop(pixels: Pixels, side: int | None, where: str) -> Pixels:
    height, width = pixels.shape[:2]
    if side is None:
        return pixels
    if min(height, width) < side:
        raise CalibrationMismatch(
            f"Image '{where}' is {width} x {height} pixels after resizing, too small for a crop of {side}. "
            f'Set "preprocess": {{"resize": {side}}} or more in the recipe.',
            where=where,
        )
    top, left = round((height - side) / 2), round((width - side) / 2)
    return pixels[top : top + side, left : left + side]


def _normalise(pixels: Pixels, form: InputForm) -> Inputs:
    """Return (pixels * scale - mean) / std, channels last, in the recipe's channel order."""
    mean, std = mean_and_std(form, pixels.shape[2])
    if form.channel_order == "BGR":
        pixels = pixels[:, :, ::-1]  # mean and std are given in the network's order
    gain, offset = np.float32(form.preprocess.scale) / std, mean / std
    inputs: Inputs = pixels * gain - offset
    return inputs


def mean_and_std(form: InputForm, channels: int) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Return one value of each for all channels, or one a channel. Raises RecipeInvalid where they do not fit."""
    require_values(form, channels)
    imagenet = channels == 3
    mean = form.preprocess.mean or (_in_order(IMAGENET_MEAN, form) if imagenet else (0.0,))
    std = form.preprocess.std or (_in_order(IMAGENET_STD, form) if imagenet else (1.0,))
    return np.asarray(mean, np.float32), np.asarray(std, np.float32)


def _in_order(values: tuple[float, ...], form: InputForm) -> tuple[float, ...]:
    return values[::-1] if form.channel_order == "BGR" else values
