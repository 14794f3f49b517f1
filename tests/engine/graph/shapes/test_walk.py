"""What is said about shapes before a network runs is what they are when it does, for every batch, height and width."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto

from engine.execution.runtime import open_session, run
from engine.graph.channels.groups import find_groups
from engine.graph.channels.remove import remove_channels
from engine.graph.model import Model
from engine.graph.normalise import normalise
from engine.graph.surgery import remove_units
from engine.graph.units import find_units
from tests.engine.graph.random_graphs import STEPS, Plan, grow
from tests.networks import CHANNELS, Draft, Shape, blocks, stem

ANY_SIZE: Shape = ("batch", 3, "height", "width")
SIZES = [{"batch": 1, "height": 16, "width": 16}, {"batch": 3, "height": 21, "width": 30}]


def halved(draft: Draft) -> str:
    return draft.conv(stem(draft), CHANNELS, CHANNELS, stride=2)


def pooled_past_the_end(draft: Draft) -> str:
    return draft.node("MaxPool", stem(draft), kernel_shape=[3, 3], strides=[2, 2], ceil_mode=1)


def doubled(draft: Draft) -> str:
    nothing, scales = draft.constant([], np.float32), draft.constant([1, 1, 2, 2])
    return draft.node("Resize", halved(draft), nothing, scales, mode="nearest")


def grown(draft: Draft) -> str:
    return draft.node("ConvTranspose", stem(draft), draft.weight(CHANNELS, 4, 2, 2), strides=[2, 2])


def trimmed(draft: Draft) -> str:
    starts, ends, axes = (draft.constant(numbers, np.int64) for numbers in ([1, 2], [-1, 1000], [2, 3]))
    return draft.node("Slice", stem(draft), starts, ends, axes)


def sliced(start: int, end: int) -> Callable[[Draft], str]:
    """Every image times the number of rows that a slice takes of it."""

    def build(draft: Draft) -> str:
        part = draft.node("Slice", "image", *(draft.constant([n], np.int64) for n in (start, end, 2)))
        rows = draft.node("Gather", draft.node("Shape", part), draft.constant(2, np.int64), axis=0)
        return draft.node("Mul", "image", draft.node("Cast", rows, to=TensorProto.FLOAT))

    build.__name__ = f"rows_from_{start}_to_{end}"
    return build


def framed(draft: Draft) -> str:
    return draft.node("Pad", stem(draft), draft.constant([0, 0, 1, 2, 0, 0, 3, 4], np.int64))


def tokens(draft: Draft) -> str:
    """Rows and columns become one axis, told by the shape of what is read, as exporters write it."""
    x = stem(draft)
    shape = draft.node("Shape", x)
    batch, rest = draft.node("Slice", shape, *(draft.constant([n], np.int64) for n in (0, 1))), [CHANNELS, -1]
    return draft.node(
        "Reshape", x, draft.node("Concat", batch, draft.constant(rest, np.int64), axis=0)
    )  # (batch, channels, height * width)


def resized_like_another(draft: Draft) -> str:
    """A decoder that grows its map to the size of an earlier one."""
    early = stem(draft)
    late = draft.conv(early, CHANNELS, CHANNELS, stride=2)
    space = draft.node("Slice", draft.node("Shape", early), *(draft.constant([n], np.int64) for n in (2, 4)))
    front = draft.node("Slice", draft.node("Shape", late), *(draft.constant([n], np.int64) for n in (0, 2)))
    sizes = draft.node("Concat", front, space, axis=0)
    nothing = draft.constant([], np.float32)
    return draft.node("Add", early, draft.node("Resize", late, nothing, nothing, sizes, mode="nearest"))


OF_ANY_SIZE: list[Callable[[Draft], str]] = [
    *[halved, pooled_past_the_end, doubled, grown, trimmed, framed, tokens, resized_like_another],
]

FAR = 1 << 62
SLICES = [sliced(*ends) for ends in ((-4, FAR), (2, FAR), (0, -4), (1, -1), (-5, -2), (-1, 3), (5, 2), (2, 5))]


@pytest.mark.parametrize("build", OF_ANY_SIZE, ids=lambda build: build.__name__)
def test_open_sizes_are_what_they_turn_out_to_be(build: Callable[[Draft], str]) -> None:
    draft = Draft()
    shape = ("batch", "c", "n") if build is tokens else ("batch", "c", "h", "w")

    model = normalise(draft.model(build(draft), ANY_SIZE, shape))

    for sizes in SIZES:
        assert_as_inferred(model, sizes, known=1.0)


@pytest.mark.parametrize("build", SLICES, ids=lambda build: build.__name__)
def test_slices_that_reach_past_either_end(build: Callable[[Draft], str]) -> None:
    """Of axes longer and shorter than what is cut from them."""
    draft = Draft()
    model = draft.model(build(draft), ANY_SIZE, ("batch", "c", "h", "w"))
    plain = normalise(model)

    for height in (1, 2, 3, 4, 7):
        noise = np.random.default_rng(0).standard_normal((1, 3, height, 2)).astype(np.float32)
        (wanted,), (found,) = (run(open_session(each), {"image": noise}).values() for each in (model, plain))
        assert np.array_equal(found, wanted)
        assert_as_inferred(plain, {"batch": 1, "height": height, "width": 2}, known=1.0)


@pytest.mark.parametrize("name", sorted(STEPS))
def test_shapes_of_every_kind_of_step(name: str) -> None:
    model = normalise(grow(Plan(3, 20, True, ((name, 3),))))

    for batch in (1, 4):
        assert_as_inferred(model, {"batch": batch}, known=0.9)


def test_what_was_open_stays_open_in_a_network_that_was_cut() -> None:
    """Half the channels of each group and one block gone, and every batch, height and width is still taken."""
    draft = Draft()
    model = normalise(draft.model(draft.conv(blocks(draft, stem(draft), 2), CHANNELS, 3), ANY_SIZE, ANY_SIZE))
    cuts = {group.name: range(group.size // 2) for group in find_groups(model).groups}

    cut = remove_channels(model, cuts)
    shorter = remove_units(cut, find_units(cut)[:1])

    assert cuts
    assert (shorter.inputs, shorter.outputs) == (model.inputs, model.outputs)
    for sizes in SIZES:
        assert_as_inferred(shorter, sizes, known=1.0)


def assert_as_inferred(model: Model, sizes: dict[str, int], known: float) -> None:
    """Run the network at these sizes; hold the shape of everything it makes against what was said, and count that."""
    (image,) = model.inputs
    shape = [size if isinstance(size, int) else sizes[str(size)] for size in image.shape]
    made = [value for node in model.graph for value in node.outputs if value.name]
    shown = Model(model.copy().ir)
    values = shown.values()
    shown.graph.outputs.extend(value for value in (values[str(v.name)] for v in made) if not value.is_graph_output())
    noise = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
    found = run(open_session(shown), {image.name: noise})
    told = 0
    for value in made:
        actual = found[str(value.name)].shape
        said = [] if value.shape is None else [work_out(size, sizes) for size in value.shape]
        assert value.shape is None or len(said) == len(actual)
        assert all(a is None or a == b for a, b in zip(said, actual, strict=False)), (value.name, value.shape, actual)
        told += value.is_graph_output() or (
            value.shape is not None and None not in said
        )  # an output keeps its own names
    assert told >= known * len(made)


def work_out(size: Any, sizes: dict[str, int]) -> int | None:
    """Return the number that a size comes to; None where it has a name that only this value bears."""
    if isinstance(size, int):
        return size
    try:
        return int(eval(str(size.value), {**sizes, "floor": math.floor, "ceil": math.ceil, "min": min, "max": max}))
    except (NameError, TypeError, SyntaxError):
        return None
