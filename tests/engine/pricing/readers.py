"""Tiny networks, one for each way in which a linear layer reads a group, and where it must find the channels."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from engine.data.images import ImageSet
from engine.graph.channels.groups import Group, find_groups
from engine.graph.model import Model
from engine.graph.normalise import normalise
from engine.pricing.sums import GroupStudy, study_groups
from engine.recipe import Deploy
from tests.networks import Draft, Shape, images

COMPUTE = Deploy(threads=1)
IMAGE: Shape = ("batch", 3, 8, 8)
"""Maps of at most 64 places: all of them are rows of the moments, none is left out by lot."""


@dataclass(frozen=True)
class Case:
    """`name` is the group's, and `positions[reader]` say where the channels lie in what that node reads.

    `written_by` are those of these nodes that write the group, too.
    """

    build: Callable[[], Model]
    name: str
    size: int
    positions: dict[str, npt.NDArray[np.intp]]
    written_by: tuple[str, ...] = ()


def own(size: int) -> npt.NDArray[np.intp]:
    return np.arange(size)[:, None]


def _group(draft: Draft, size: int = 6, kernel: int = 3, stride: int = 1) -> str:
    return draft.node("Relu", draft.conv("image", 3, size, kernel=kernel, stride=stride))


def _end(draft: Draft, x: str, channels: int) -> Model:
    return normalise(draft.model(draft.classify(draft.node("Relu", x), channels=channels), IMAGE))


def convolution() -> Model:
    draft = Draft()
    return _end(draft, draft.conv(_group(draft), 6, 5), 5)


def strided_and_dilated() -> Model:
    """Uneven padding, a kernel that is no square, without a bias."""
    draft = Draft()
    x = draft.node("Conv", _group(draft), draft.weight(5, 6, 3, 2), strides=[2, 1], dilations=[1, 2], pads=[1, 0, 2, 1])
    return _end(draft, x, 5)


def pooled() -> Model:
    """Read by a Gemm whose weights lie as (outputs, inputs)."""
    draft = Draft()
    x = draft.node("Flatten", draft.node("GlobalAveragePool", _group(draft)))
    x = draft.node("Relu", draft.node("Gemm", x, draft.weight(7, 6), draft.weight(7), transB=1))
    return normalise(draft.model(draft.node("Gemm", x, draft.weight(5, 7), draft.weight(5), transB=1), IMAGE))


def flattened() -> Model:
    """Each channel is four numbers of the vector; the Gemm's weights lie as (inputs, outputs)."""
    draft = Draft()
    x = draft.node("Flatten", _group(draft, stride=4))
    x = draft.node("Relu", draft.node("Gemm", x, draft.weight(24, 7), draft.weight(7)))
    return normalise(draft.model(draft.node("Gemm", x, draft.weight(7, 5), draft.weight(5)), IMAGE))


def tokens() -> Model:
    """The MLP of a transformer: two products with constants, bias by bias."""
    draft = Draft()
    x = draft.node("Conv", "image", draft.weight(4, 3, 4, 4), kernel_shape=[4, 4], strides=[4, 4])
    x = draft.node("Transpose", draft.node("Reshape", x, draft.constant([0, 4, 4], np.int64)), perm=[0, 2, 1])
    hidden = draft.node("Add", draft.node("MatMul", x, draft.weight(4, 9)), draft.weight(9))
    y = draft.node("Add", draft.node("MatMul", draft.node("Relu", hidden), draft.weight(9, 4)), draft.weight(4))
    x = draft.node("ReduceMean", draft.node("Add", x, y), draft.constant([1], np.int64), keepdims=0)
    return normalise(draft.model(draft.node("Gemm", x, draft.weight(4, 5), draft.weight(5)), IMAGE))


def read_twice() -> Model:
    """Two layers sum over the group, one of them with a kernel."""
    draft = Draft()
    x = _group(draft)
    return _end(draft, draft.node("Add", draft.conv(x, 6, 5), draft.conv(x, 6, 5, kernel=1)), 5)


def beside_another() -> Model:
    """Behind a concatenation the group's channels lie behind those of another."""
    draft = Draft()
    first, second = _group(draft, 4), _group(draft, 6)
    return _end(draft, draft.conv(draft.node("Concat", first, second, axis=1), 10, 5), 5)


def beside_itself() -> Model:
    draft = Draft()
    x = _group(draft)
    return _end(draft, draft.conv(draft.node("Concat", x, x, axis=1), 12, 5), 5)


def through_depthwise() -> Model:
    """The depthwise layer's channels go with those that it reads: they are written there, and summed over behind."""
    draft = Draft()
    x = draft.node("Relu", draft.conv(_group(draft), 6, 6, group=6))
    return _end(draft, draft.conv(x, 6, 5, kernel=1), 5)


def written_by_its_reader() -> Model:
    """A residual of one layer, which goes with what it reads on both of its sides."""
    draft = Draft()
    x = _group(draft)
    x = draft.node("Relu", draft.node("Add", draft.conv(x, 6, 6), x))
    return _end(draft, draft.conv(x, 6, 5), 5)


CASES = {
    "convolution": Case(convolution, "node_0_Conv", 6, {"node_2_Conv": own(6)}),
    "strided and dilated": Case(strided_and_dilated, "node_0_Conv", 6, {"node_2_Conv": own(6)}),
    "pooled": Case(pooled, "node_0_Conv", 6, {"node_4_Gemm": own(6)}),
    "flattened": Case(flattened, "node_0_Conv", 6, {"node_3_Gemm": np.arange(24).reshape(6, 4)}),
    "tokens": Case(tokens, "node_3_MatMul", 9, {"node_6_MatMul": own(9)}),
    "read twice": Case(read_twice, "node_0_Conv", 6, {"node_2_Conv": own(6), "node_3_Conv": own(6)}),
    "beside another": Case(beside_another, "node_2_Conv", 6, {"node_5_Conv": 4 + own(6)}),
    "beside itself": Case(beside_itself, "node_0_Conv", 6, {"node_3_Conv": np.stack([range(6), range(6, 12)], 1)}),
    "written by its reader": Case(
        written_by_its_reader, "node_0_Conv", 6, {"node_2_Conv": own(6), "node_5_Conv": own(6)}, ("node_2_Conv",)
    ),
    "through depthwise": Case(through_depthwise, "node_0_Conv", 6, {"node_4_Conv": own(6)}),
}


def group_of(model: Model, name: str) -> Group:
    return next(group for group in find_groups(model).groups if group.name == name)


def some_images(model: Model, count: int, seed: int = 3) -> ImageSet:
    (inputs,) = images(model, batch=count, seed=seed).values()
    return ImageSet(inputs.astype(np.float32), None, tuple(f"image{i}" for i in range(count)))


def studied(model: Model, name: str, repair: int = 12, check: int = 5) -> GroupStudy:
    """Return the study of one group, fitted on these many images and checked on others."""
    sets = [some_images(model, repair), some_images(model, check, seed=4)]
    (found,) = study_groups(model, [group_of(model, name)], sets, COMPUTE, seed=0)
    return found
