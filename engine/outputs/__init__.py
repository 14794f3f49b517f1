"""Further files of a delivered network, in fewer bits. OUTPUTS: what each kind is made by, ONNX Runtime's own tools."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, NamedTuple

from engine.data.images import ImageSet
from engine.graph.model import Model
from engine.outputs import fp16, int8
from engine.outputs.converted import Converted
from engine.recipe import Deploy

Kind = Literal["fp16", "int8"]


class Output(NamedTuple):
    """How one kind is made of a network, and whether it has to be shown images for that."""

    convert: Callable[[Model, ImageSet, Deploy], Converted]
    reads_images: bool


OUTPUTS: dict[Kind, Output] = {"fp16": Output(fp16.convert, False), "int8": Output(int8.convert, True)}
