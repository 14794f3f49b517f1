"""What one input of a network takes, and whether a recipe and images fit it. Arithmetic alone: anyone can ask."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from engine.errors import CalibrationMismatch, RecipeInvalid
from engine.recipe import Preprocess

DRAWN_SIDE = 224  # where neither network nor recipe says how large images are


class Declared(Protocol):
    """An input as the network declares it, or as its inspection tells it."""

    @property
    def name(self) -> str: ...
    @property
    def shape(self) -> tuple[int | str | None, ...]: ...


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


def input_form(model_input: Declared, preprocess: Preprocess) -> InputForm:
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


def fitting_form(model_input: Declared, preprocess: Preprocess) -> InputForm:
    """Read the form for a recipe that may still be unfit.

    Raises RecipeInvalid where its layout plainly is not the network's, or its mean or std has too few values or too
    many. Where the network leaves the channels open, the recipe's channel order decides how many that is.
    """
    form = input_form(model_input, preprocess)
    if form.takes_pictures:
        require_values(form, form.channels)
    return form


def require_values(form: InputForm, channels: int) -> None:
    """Raise RecipeInvalid unless mean and std, where the recipe has them, are one value for all or one a channel."""
    for key, values in (("mean", form.preprocess.mean), ("std", form.preprocess.std)):
        if values and len(values) not in (1, channels):
            raise RecipeInvalid(
                f"'preprocess.{key}' has {len(values)} values; input '{form.name}' has "
                f"{'1 channel' if channels == 1 else f'{channels} channels'}. "
                f"Give one value{'' if channels == 1 else f', or {channels}'}.",
                where=f"preprocess.{key}",
            )


def _plain_layout(sizes: tuple[int | None, ...]) -> str | None:
    """Tell the layout of a square picture with one or three channels; None where it could be either."""
    if len(sizes) != 3 or None in sizes:
        return None
    first, last = sizes[0] in (1, 3), sizes[2] in (1, 3)
    if first and not last and sizes[1] == sizes[2]:
        return "NCHW"
    return "NHWC" if last and not first and sizes[0] == sizes[1] else None


def check_pixels(size: tuple[int, int, int], form: InputForm, where: str, *, convertible: bool) -> tuple[int, ...]:
    """Return the shape that pixels of this height, width and channels are fed in.

    Raises CalibrationMismatch where they could not be made to fit.
    `convertible` are those of pictures, whose colours can be made the network's.
    """
    if not form.takes_pictures:
        check_fits(size, form, where)
    height, width, channels = size
    height, width = framed(height, width, form.preprocess, where)
    if convertible and form.channels in (1, 3):
        channels = form.channels
    shape = (channels, height, width) if form.preprocess.layout == "NCHW" else (height, width, channels)
    check_fits(shape, form, where)
    return shape


def framed(height: int, width: int, preprocess: Preprocess, where: str) -> tuple[int, int]:
    """Return height and width after resizing and cropping. Raises CalibrationMismatch where the crop is larger."""
    height, width = resized(height, width, preprocess.resize)
    side = preprocess.crop
    if side is None:
        return height, width
    if min(height, width) < side:
        raise CalibrationMismatch(
            f"Image '{where}' is {width} x {height} pixels after resizing, too small for a crop of {side}. "
            f'Set "preprocess": {{"resize": {side}}} or more in the recipe.',
            where=where,
        )
    return side, side


def resized(height: int, width: int, shorter_side: int | None) -> tuple[int, int]:
    """Return height and width so that the shorter of them has this many pixels; None leaves them."""
    if shorter_side is None or shorter_side == min(height, width):
        return height, width
    longer = int(shorter_side * max(height, width) / min(height, width))
    return (shorter_side, longer) if width > height else (longer, shorter_side)


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


def check_agrees(shape: tuple[int, ...], others: tuple[int, ...], form: InputForm, where: str) -> None:
    """Raise CalibrationMismatch unless an image is fed in the shape of those before it, where any size would do."""
    if shape != others:
        raise CalibrationMismatch(
            f"Image '{where}' has shape {shape}, others have {others}; all must agree. "
            f"Set {_keys_for_one_size(form.preprocess)}, or other sizes, in the recipe.",
            where=where,
        )


def _keys_for_one_size(preprocess: Preprocess) -> str:
    """Return the keys that make photographs of all forms one size; resizing alone sets the shorter side."""
    resize, crop = (preprocess.resize,) * 2 if preprocess.resize else (256, 224)
    return f'"preprocess": {{"resize": {resize}, "crop": {crop}}}'


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
