"""How images become inputs of the network, and which network a file of bare weights belongs to."""

from __future__ import annotations

import math
from typing import Annotated, Literal

from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

from engine.recipe.strict import Finite, Strict, Whole


class Preprocess(Strict):
    """How an 8-bit image becomes the network's input: resize, crop, scale, normalise, lay out.

    Pixel 255 with scale 1/255, mean 0.485 and std 0.229 becomes 2.249. Arrays of floating point are taken as ready
    inputs and pass through untouched.
    """

    resize: Whole | None = Field(default=None, ge=1, le=8192, description="Shorter side in pixels; null: as it is.")
    crop: Whole | None = Field(
        default=None, ge=1, le=8192, description="Side of the centre crop in pixels; null: as it is."
    )
    scale: Finite = Field(default=1 / 255, gt=0)
    mean: tuple[Finite, ...] | None = Field(
        default=None,
        description="One value a channel, or one for all; null: ImageNet's for three channels, 0 otherwise.",
    )
    std: tuple[Annotated[Finite, Field(gt=0)], ...] | None = Field(
        default=None,
        description="One value a channel, or one for all; null: ImageNet's for three channels, 1 otherwise.",
    )
    channel_order: Literal["RGB", "BGR", "GRAY"] | None = Field(
        default=None, description="null: GRAY for a network with one input channel, RGB otherwise."
    )
    layout: Literal["NCHW", "NHWC"] = "NCHW"


MOST_OPTION = 1 << 20
"""Of whole numbers; the largest are numbers of classes, of which networks for faces have some hundred thousand."""

MOST_INPUT_NUMBERS = 1 << 26
"""Of one image: three channels of 4,700 by 4,700 pixels."""

OPEN_SIDE = 224
"""In pixels: what the network is tried with in place of an open side."""


def _bounded(value: bool | int | float | str) -> bool | int | float | str:
    """Refuse a whole number out of bounds, which a bound of its own would turn into a fraction."""
    if isinstance(value, int) and not 0 <= value <= MOST_OPTION:
        message = "A whole number among the options is 0 to {most}; found {found}."
        raise PydanticCustomError("option", message, {"most": MOST_OPTION, "found": str(value)[:40]})
    return value


OptionValue = Annotated[bool | int | Finite | Annotated[str, Field(max_length=64)], AfterValidator(_bounded)]


def _within_reach(shape: tuple[int, int | None, int | None]) -> tuple[int, int | None, int | None]:
    numbers = math.prod(OPEN_SIDE if size is None else size for size in shape)
    if numbers > MOST_INPUT_NUMBERS:
        message = "An image of that shape has {numbers} numbers; at most {most} are tried. Give a smaller one."
        raise PydanticCustomError("input_shape", message, {"numbers": numbers, "most": MOST_INPUT_NUMBERS})
    return shape


_Size = Annotated[Whole, Field(ge=1, le=16_384)]
InputShape = Annotated[tuple[_Size, _Size | None, _Size | None], AfterValidator(_within_reach)]


class Architecture(Strict):
    """Which network a file of bare weights belongs to; a file that holds its own graph needs none.

    "torchvision/resnet18" with {"num_classes": 10} and [3, null, null] takes pictures of any height and width.
    """

    name: str = Field(
        pattern=r"^[a-z]+/[A-Za-z0-9_.]{1,100}$", description="torchvision/NAME, or timm/NAME where timm is installed."
    )
    options: dict[Annotated[str, Field(pattern=r"^[a-z_][a-z0-9_]{0,63}$")], OptionValue] = Field(
        default={}, max_length=32, description="Given to the network's builder, such as num_classes."
    )
    input_shape: InputShape | None = Field(
        default=None,
        description="Channels, height, width; null in place of height or width: any. Absent: as it was trained.",
    )
