"""From 8-bit pixels to what the network takes: resize, crop, scale, normalise, lay out. Opens no file."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image

from engine.data.images import Inputs, Pixels
from engine.errors import CalibrationMismatch, RecipeInvalid
from engine.graph.model import TensorInfo
from engine.recipe import Preprocess

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
DRAWN_SIDE = 224  # where neither network nor recipe says how large images are


@dataclass(frozen=True)
class InputForm:
    """What one input of the network takes: sizes without the batch, None where any size will do."""

    name: str
    shape: tuple[int | None, ...]
    preprocess: Preprocess

    @property
    def takes_pictures(self) -> bool:
        return len(self.shape) == 3

    @property
    def channels(self) -> int:
        """Return the number of channels; where the network leaves it open, the recipe's channel order decides."""
        found = self.shape[0 if self.preprocess.layout == "NCHW" else -1]
        return found or (1 if self.preprocess.channel_order == "GRAY" else 3)

    @property
    def channel_order(self) -> str:
        return self.preprocess.channel_order or ("GRAY" if self.channels == 1 else "RGB")

    @property
    def height_and_width(self) -> tuple[int | None, int | None]:
        start = 1 if self.preprocess.layout == "NCHW" else 0
        return self.shape[start], self.shape[start + 1]

    @property
    def drawn_size(self) -> tuple[int, int, int]:
        """Return height, width and channels of a picture that we draw: the network's, else the recipe's, else 224."""
        side = self.preprocess.crop or self.preprocess.resize or DRAWN_SIDE
        height, width = self.height_and_width
        return height or side, width or side, self.channels

    @property
    def drawn_shape(self) -> tuple[int, ...]:
        """Return the shape of one input where nobody sends one, without the batch."""
        if not self.takes_pictures:
            return tuple(size or 1 for size in self.shape)
        height, width, channels = self.drawn_size
        return (channels, height, width) if self.preprocess.layout == "NCHW" else (height, width, channels)


def input_form(model_input: TensorInfo, preprocess: Preprocess) -> InputForm:
    """Read the form from the declared shape, whose first dimension is the batch.

    Raises RecipeInvalid where the recipe's layout plainly is not the network's.
    """
    sizes = tuple(size if isinstance(size, int) and size > 0 else None for size in model_input.shape[1:])
    layout = _plain_layout(sizes)
    if layout not in (None, preprocess.layout):
        raise RecipeInvalid(
            f"The network's input '{model_input.name}' is {_by(sizes)}, which is {layout}; "
            f'the recipe says {preprocess.layout}. Set "preprocess": {{"layout": "{layout}"}}.',
            where="preprocess.layout",
        )
    return InputForm(model_input.name, sizes, preprocess)


def _plain_layout(sizes: tuple[int | None, ...]) -> str | None:
    """Tell the layout of a square picture with one or three channels; None where it could be either."""
    if len(sizes) != 3 or None in sizes:
        return None
    first, last = sizes[0] in (1, 3), sizes[2] in (1, 3)
    if first and not last and sizes[1] == sizes[2]:
        return "NCHW"
    return "NHWC" if last and not first and sizes[0] == sizes[1] else None


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


def check_fits(shape: tuple[int, ...], form: InputForm, where: str, *, from_pixels: bool = True) -> None:
    """Raise CalibrationMismatch unless one image of this shape can be fed to the network.

    `from_pixels` is False for what came as floating point and passes as it is: no key of the recipe resizes that.
    """
    fits = len(shape) == len(form.shape) and all(
        want in (None, size) for want, size in zip(form.shape, shape, strict=True)
    )
    if not fits:
        raise CalibrationMismatch(
            f"Image '{where}' is {_by(shape)}; the network's input '{form.name}' takes {_by(form.shape)} "
            f"({_letters(form)}). {_advice(shape, form, from_pixels)}",
            where=where,
        )


def _advice(shape: tuple[int, ...], form: InputForm, from_pixels: bool) -> str:
    if not form.takes_pictures:
        return "Send an .npz or .npy of float32 arrays of that shape."
    height, width = form.height_and_width
    if height is None or width is None or len(shape) != 3 or shape == form.shape:
        return "Send images of that shape."
    if not from_pixels:
        return "Arrays of floating point pass as they are: make them of that shape, or send pixels, as uint8."
    if height == width and form.channels in shape:
        return f"Set {_resize_keys(height)} in the recipe, or send images of {width} x {height} pixels."
    return f"Send images of {width} x {height} pixels (width x height) with {form.channels} channels."


def _resize_keys(side: int) -> str:
    """Return the keys that most training pipelines used for this side: a margin of one seventh, if it is large."""
    return f'"preprocess": {{"resize": {round(side * 8 / 7) if side >= 96 else side}, "crop": {side}}}'


def _by(shape: tuple[int | None, ...]) -> str:
    return " x ".join("any" if size is None else str(size) for size in shape) or "a single number"


def _letters(form: InputForm) -> str:
    return form.preprocess.layout[1:] if form.takes_pictures else "without the batch"


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
    imagenet = channels == 3
    mean = form.preprocess.mean or (_in_order(IMAGENET_MEAN, form) if imagenet else (0.0,))
    std = form.preprocess.std or (_in_order(IMAGENET_STD, form) if imagenet else (1.0,))
    for key, values in (("mean", mean), ("std", std)):
        if len(values) not in (1, channels):
            raise RecipeInvalid(
                f"'preprocess.{key}' has {len(values)} values; input '{form.name}' has {channels} channels. "
                f"Give one value, or {channels}.",
                where=f"preprocess.{key}",
            )
    return np.asarray(mean, np.float32), np.asarray(std, np.float32)


def _in_order(values: tuple[float, ...], form: InputForm) -> tuple[float, ...]:
    return values[::-1] if form.channel_order == "BGR" else values
