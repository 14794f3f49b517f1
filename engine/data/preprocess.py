"""From 8-bit pixels to what the network takes: resize, crop, scale, normalise, lay out. Opens no file."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from PIL import Image

from engine.data.images import Inputs, Pixels
from engine.input_form import InputForm, check_fits, framed, require_values, resized
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
    found = pixels.shape[0], pixels.shape[1]
    whole, kept = resized(*found, preprocess.resize), framed(*found, preprocess, where)
    top, left = round((whole[0] - kept[0]) / 2), round((whole[1] - kept[1]) / 2)
    return _resize(pixels, whole)[top : top + kept[0], left : left + kept[1]]


def _resize(pixels: Pixels, height_and_width: tuple[int, int]) -> Pixels:
    """Scale to so many pixels; bilinear over the area that each new pixel covers."""
    if height_and_width == pixels.shape[:2]:
        return pixels
    size = height_and_width[::-1]
    if pixels.shape[2] == 3:
        return np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.BILINEAR))
    planes = [Image.fromarray(plane).resize(size, Image.Resampling.BILINEAR) for plane in np.moveaxis(pixels, 2, 0)]
    return np.stack([np.asarray(plane) for plane in planes], axis=2)


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
