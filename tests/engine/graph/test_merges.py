"""The law of merging: what was merged says what it said before, borders included, and what is not exact is refused."""

from __future__ import annotations

import random
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
import onnx
import pytest

from engine.check import random_inputs
from engine.execution.runtime import open_session, run
from engine.graph.edits import remove_dead
from engine.graph.merges import MERGES, convolution, find_offers, merge
from engine.graph.merges.offer import Offer
from engine.graph.model import Model
from engine.graph.normalise import normalise
from engine.graph.shapes import infer_shapes
from engine.graph.surgery import remove_units
from engine.graph.units import find_units
from tests.engine.graph import same
from tests.engine.graph.random_graphs import STEPS, Plan, grow
from tests.networks import CHANNELS, Draft, Shape, images

TOLERANCE = 1e-4
OPEN: Shape = ("batch", 4, "height", "width")


def finish(draft: Draft, value: str, shape: Shape, rank: int = 4) -> Model:
    """Let an activation read the value, so that it is no output, and work the shapes out."""
    model = draft.model(draft.node("LeakyRelu", value), shape, tuple(f"size_{axis}" for axis in range(rank)))
    infer_shapes(model)
    return model


def offers_of(model: Model, rule: str) -> list[Offer]:
    return [offer for name, offer in find_offers(model) if name == rule]


def applied(model: Model, rule: str) -> Model | None:
    """Return a copy in which the last offer of a rule was taken, None where there is none."""
    merged = model.copy()
    offers = offers_of(merged, rule)
    if not offers:
        return None
    offers[-1].apply()
    remove_dead(merged)
    return merged


def assert_same(found: Model, wanted: Model, sizes: tuple[int, int] | None = None) -> None:
    onnx.checker.check_model(found.to_bytes(), full_check=True)
    (info,) = wanted.inputs
    image = next(iter(images(wanted).values())) if sizes is None else None
    if image is None:
        assert sizes is not None
        image = np.random.default_rng(1).standard_normal((2, int(info.shape[1] or 0), *sizes), dtype=np.float32)
    (before,), (after,) = (run(open_session(model), {info.name: image}).values() for model in (wanted, found))
    assert np.ptp(before) > 0
    same.assert_close(after, before, TOLERANCE)


def draw_conv(draft: Draft, x: str, inputs: int, choose: np.random.Generator, **fixed: Any) -> tuple[str, int]:
    """Add a convolution with drawn kernel, stride, border (some by `auto_pad`), dilation, groups, bias and width."""
    kernel = fixed.get("kernel", [int(choose.choice([1, 1, 2, 3, 4, 5])) for _ in "hw"])
    group = int(choose.choice([g for g in (1, 2, inputs) if inputs % g == 0]))
    outputs = fixed.get("outputs", group * int(choose.integers(1, 4)))
    group = group if outputs % group == 0 else 1
    dilations = [int(choose.choice([1, 1, 2])) if k in (2, 3) else 1 for k in kernel]
    inside = kernel == [1, 1] or choose.random() < 0.4
    pads = [0] * 4 if inside else [int(n) for n in choose.integers(0, 3, 4)]
    bias = [draft.weight(outputs, scale=1.0)] if choose.random() < 0.5 else []
    border: dict[str, Any] = {"pads": fixed.get("pads", pads)}
    if (
        fixed.get("auto_pad") and dilations == [1, 1] and choose.random() < 0.25
    ):  # ONNX Runtime pads no dilated one by itself
        border = {"auto_pad": str(choose.choice(["SAME_UPPER", "SAME_LOWER", "VALID"]))}
    made = draft.node(
        "Conv",
        x,
        draft.weight(outputs, inputs // group, *kernel),
        *bias,
        group=group,
        kernel_shape=kernel,
        strides=fixed.get("strides", [int(choose.choice([1, 1, 2, 3])) for _ in "hw"]),
        dilations=dilations,
        **border,
    )
    return made, outputs


@pytest.mark.parametrize("seed", range(8))
def test_two_convolutions_are_one_or_stay_two(seed: int) -> None:
    """Every kernel, stride, border, dilation and group; images of odd sizes, for half of them unknown beforehand."""
    choose = np.random.default_rng(seed)
    merged = 0
    for case in range(30):
        draft = Draft(seed=case)
        inputs = int(choose.choice([1, 2, 4]))
        sizes = (int(choose.integers(19, 26)), int(choose.integers(19, 26)))
        shape: Shape = ("batch", inputs, *sizes) if case % 2 else ("batch", inputs, "height", "width")
        x, channels = draw_conv(draft, "image", inputs, choose, auto_pad=True)
        model = finish(draft, draw_conv(draft, x, channels, choose, auto_pad=True)[0], shape)

        found = applied(model, "conv_conv")

        if found is not None:
            merged += 1
            assert sum(node.op_type == "Conv" for node in found.graph) == 1
            assert_same(found, model, sizes)
    assert merged >= 8


def conv(draft: Draft, x: str, shape: tuple[int, ...], pad: int = 0, bias: bool = True, **attributes: Any) -> str:
    inputs = [draft.weight(*shape), *([draft.weight(shape[0], scale=1.0)] if bias else [])]
    return draft.node("Conv", x, *inputs, pads=[pad] * 4, **attributes)


Pair = Callable[[Draft], str]
PAIRS: dict[str, tuple[Pair, bool, bool]] = {
    "3x3 padded, 1x1": (lambda d: conv(d, conv(d, "image", (4, 4, 3, 3), 1), (4, 4, 1, 1)), True, True),
    "1x1 without bias, 3x3": (
        lambda d: conv(d, conv(d, "image", (4, 4, 1, 1), bias=False), (4, 4, 3, 3), 1),
        True,
        True,
    ),
    "1x1 with bias, 3x3": (lambda d: conv(d, conv(d, "image", (4, 4, 1, 1)), (4, 4, 3, 3), 1), True, False),
    "3x3 padded twice": (lambda d: conv(d, conv(d, "image", (4, 4, 3, 3), 1), (4, 4, 3, 3), 1), False, False),
    "3x3 padded before, 3x3": (lambda d: conv(d, conv(d, "image", (4, 4, 3, 3), 2), (4, 4, 3, 3)), True, True),
    "strided, 1x1": (lambda d: conv(d, conv(d, "image", (4, 4, 3, 3), 1, strides=[2, 2]), (4, 4, 1, 1)), True, True),
    "1x1, depthwise padded": (
        lambda d: conv(d, conv(d, "image", (4, 4, 1, 1), bias=False), (4, 1, 3, 3), 1, group=4),
        True,
        True,
    ),
    "depthwise, 1x1": (lambda d: conv(d, conv(d, "image", (4, 1, 3, 3), 1, group=4), (4, 4, 1, 1)), True, True),
    "1x1, average": (lambda d: d.node("AveragePool", conv(d, "image", (4, 4, 1, 1)), kernel_shape=[2, 2]), True, True),
}


@pytest.mark.parametrize("name", PAIRS)
def test_what_is_exact_is_offered_and_nothing_else(name: str) -> None:
    """The traps: a border that the second convolution puts where the first one has something to say."""
    build, known_size, open_size = PAIRS[name]
    offered = []
    for shape in (("batch", 4, 9, 7), OPEN):
        draft = Draft()
        model = finish(draft, build(draft), shape)
        found = applied(model, "conv_conv")
        offered.append(found is not None)
        if found is not None:
            assert_same(found, model, (9, 7))

    assert offered == [known_size, open_size]


def test_a_constant_along_a_large_border_is_not_put_into_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    draft = Draft()
    x = conv(draft, conv(draft, "image", (4, 4, 1, 1)), (4, 4, 3, 3), 1)
    model = finish(draft, x, ("batch", 4, 8, 8))
    allowed = len(offers_of(model, "conv_conv"))

    monkeypatch.setattr(convolution, "MAP_ELEMENTS_MAX", 4 * 8 * 8 - 1)

    assert (allowed, len(offers_of(model, "conv_conv"))) == (1, 0)


def test_a_merge_that_costs_more_is_offered_and_not_made() -> None:
    draft = Draft()
    x = conv(draft, conv(draft, "image", (4, 4, 3, 3), 2), (4, 4, 3, 3))
    model = finish(draft, x, ("batch", 4, 9, 9))

    (offer,) = offers_of(model, "conv_conv")

    assert (offer.macs_before, offer.macs_after) == (16 * 9 * (121 + 81), 16 * 25 * 81)
    assert not offer.pays
    assert merge(model).to_bytes() == model.to_bytes()


def test_what_another_node_reads_is_not_merged() -> None:
    draft = Draft()
    inside = conv(draft, "image", (4, 4, 3, 3), 1)
    model = finish(draft, draft.node("Mul", conv(draft, inside, (4, 4, 1, 1)), inside), ("batch", 4, 8, 8))

    assert not find_offers(model)


def test_a_shared_kernel_stays_with_its_other_reader() -> None:
    draft = Draft()
    kernel = draft.weight(4, 4, 1, 1)
    x = draft.node("Conv", draft.node("Conv", "image", kernel), kernel)
    x = draft.node("Conv", draft.node("Relu", x), kernel)
    model = finish(draft, x, ("batch", 4, 8, 8))

    merged = merge(model)

    assert sum(node.op_type == "Conv" for node in merged.graph) == 2
    assert_same(merged, model)


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("group", [1, 2, 4])
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("kernel", [3, 5])
def test_parallel_branches_are_one_convolution(kernel: int, stride: int, group: int, bias: bool) -> None:
    """RepVGG's three and DBB's two more, in their several layers."""
    draft, half = Draft(), kernel // 2
    step: dict[str, Any] = {"strides": [stride, stride]}
    branches = [
        conv(draft, "image", (4, 4 // group, kernel, kernel), half, bias, group=group, **step),
        conv(draft, "image", (4, 4 // group, 1, 1), 0, bias, group=group, **step),
        conv(
            draft,
            conv(draft, "image", (8, 4 // group, 1, 1), 0, bias, group=group),
            (4, 8 // group, 3, 3),
            1,
            group=group,
            **step,
        ),
        draft.node(
            "AveragePool",
            conv(draft, "image", (4, 4 // group, 1, 1), 0, False, group=group),
            kernel_shape=[3, 3],
            pads=[1] * 4,
            count_include_pad=1,
            **step,
        ),
    ]
    if stride == 1:
        branches += ["image", draft.batch_norm("image", 4)]
    total = branches[0]
    for branch in branches[1:]:
        total = draft.node("Add", total, branch)
    model = finish(draft, total, ("batch", 4, 9, 11))

    merged = merge(model)

    assert [node.op_type for node in merged.graph] in (["Conv", "LeakyRelu"], ["Conv", "Add", "LeakyRelu"])
    assert_same(merged, model)


@pytest.mark.parametrize("shape", [OPEN, ("batch", 4, 9, 7)])
def test_a_block_of_repvgg_is_one_convolution_whatever_the_size(shape: Shape) -> None:
    draft = Draft()
    both = draft.node("Add", conv(draft, "image", (4, 4, 3, 3), 1), conv(draft, "image", (4, 4, 1, 1)))
    model = finish(draft, draft.node("Add", both, draft.batch_norm("image", 4)), shape)

    merged = merge(model)

    assert [node.op_type for node in merged.graph] == ["Conv", "LeakyRelu"]
    assert_same(merged, model, (9, 7))


def test_branches_of_different_values_are_not_added() -> None:
    draft = Draft()
    x = draft.node("Relu", conv(draft, "image", (4, 4, 1, 1)))
    y = draft.node("Add", conv(draft, x, (4, 4, 3, 3), 1), conv(draft, "image", (4, 4, 1, 1)))

    assert not find_offers(finish(draft, y, ("batch", 4, 8, 8)))


@pytest.mark.parametrize("pool", ["GlobalAveragePool", "AveragePool"])
def test_pooling_goes_before_a_pointwise_convolution(pool: str) -> None:
    draft = Draft()
    options = {"kernel_shape": [2, 2], "strides": [2, 2]} if pool == "AveragePool" else {}
    model = finish(draft, draft.node(pool, conv(draft, "image", (6, 4, 1, 1)), **options), ("batch", 4, 9, 8))

    merged = merge(model)

    assert [node.op_type for node in merged.graph] == [pool, "Conv", "LeakyRelu"]
    assert_same(merged, model)


@pytest.mark.parametrize("seed", range(20))
def test_a_convolution_and_a_linear_layer_are_one(seed: int) -> None:
    """The map is laid out as a row; every border, stride and group is linear in the image."""
    choose, draft = np.random.default_rng(seed), Draft(seed=seed)
    x = draw_conv(draft, "image", 4, choose)[0]
    alone = draft.model(x, ("batch", 4, 9, 7), ("batch", "channels", "height", "width"))
    width = run(open_session(alone), images(alone))[x][0].size
    rows = draft.constant([0, -1], np.int64)
    x = draft.node("Flatten", x) if seed % 2 else draft.node("Reshape", x, rows)
    layer = ("Gemm", [draft.weight(5, width), draft.weight(5)], {"transB": 1, "alpha": 0.5, "beta": 2.0})
    if seed % 3 == 0:
        layer = ("MatMul", [draft.weight(width, 5)], {})
    model = finish(draft, draft.node(layer[0], x, *layer[1], **layer[2]), ("batch", 4, 9, 7), rank=2)

    found = applied(model, "conv_linear")

    assert found is not None
    assert [node.op_type for node in found.graph] == ["Flatten", "Gemm", "LeakyRelu"]
    assert_same(found, model)


def test_a_head_of_a_pointwise_convolution_and_a_linear_layer_is_one_layer() -> None:
    draft = Draft()
    x = draft.node("Flatten", draft.node("GlobalAveragePool", conv(draft, "image", (32, 4, 1, 1))))
    model = finish(draft, draft.node("Gemm", x, draft.weight(5, 32), draft.weight(5), transB=1), OPEN, rank=2)

    merged = merge(model)

    assert [node.op_type for node in merged.graph] == ["GlobalAveragePool", "Flatten", "Gemm", "LeakyRelu"]
    assert_same(merged, model, (9, 7))


@pytest.mark.parametrize("rank", [2, 3])
@pytest.mark.parametrize("biases", [(False, False), (True, False), (False, True), (True, True)])
@pytest.mark.parametrize("shape_of_bias", [(12,), (1, 12), (1,)])
def test_two_linear_layers_are_one(rank: int, biases: tuple[bool, bool], shape_of_bias: tuple[int, ...]) -> None:
    draft, sizes = Draft(), [6, 12, 5]
    x = "image"
    for place, (inputs, outputs) in enumerate(pairwise(sizes)):
        x = draft.node("MatMul", x, draft.weight(inputs, outputs))
        shape = shape_of_bias if place == 0 else (outputs,)
        x = draft.node("Add", draft.weight(*shape, scale=1.0), x) if biases[place] else x
    model = finish(draft, x, ("batch", 7, 6)[3 - rank :], rank)

    merged = merge(model)

    kinds = [node.op_type for node in merged.graph]
    assert kinds in (["Gemm", "LeakyRelu"], ["MatMul", "LeakyRelu"], ["MatMul", "Add", "LeakyRelu"])
    assert_same(merged, model)


def test_two_linear_layers_with_a_narrow_waist_stay_two() -> None:
    draft = Draft()
    x = draft.node("MatMul", draft.node("MatMul", "image", draft.weight(6, 2)), draft.weight(2, 5))
    model = finish(draft, x, ("batch", 6), 2)

    (offer,) = offers_of(model, "linear_linear")

    assert (offer.macs_before, offer.macs_after) == (22, 30)
    assert merge(model).to_bytes() == model.to_bytes()


def test_an_activation_of_itself_is_left_out() -> None:
    draft = Draft()
    low, high, other = (draft.constant(bound) for bound in (0.0, 6.0, 3.0))
    x = draft.node("Relu", draft.node("Relu", conv(draft, "image", (4, 4, 1, 1))))
    x = draft.node("Clip", draft.node("Clip", draft.node("Clip", x, low, high), low, high), low, other)
    model = finish(draft, conv(draft, x, (4, 4, 1, 1)), ("batch", 4, 8, 8))

    merged = merge(model)

    assert [node.op_type for node in merged.graph] == ["Conv", "Relu", "Clip", "Clip", "Conv", "LeakyRelu"]
    assert_same(merged, model)


def test_the_merged_model_is_a_new_one_and_keeps_its_outputs() -> None:
    draft = Draft()
    x = conv(draft, conv(draft, "image", (CHANNELS, 4, 3, 3), 1), (CHANNELS, CHANNELS, 1, 1))
    model = draft.model(x, ("batch", 4, 8, 8), ("batch", CHANNELS, 8, 8))
    infer_shapes(model)
    before = model.to_bytes()

    merged = merge(model)

    assert model.to_bytes() == before
    assert merged.outputs == model.outputs
    assert [node.op_type for node in merged.graph] == ["Conv"]
    assert_same(merged, model)


@pytest.mark.parametrize("seed", range(25))
def test_offers_in_random_graphs_are_exact(seed: int) -> None:
    """Activations gone, up to six offers taken, whatever they cost: what no pattern of ours was written for."""
    choose = random.Random(seed)
    steps = [(choose.choice(sorted(STEPS)), choose.randrange(2**20)) for _ in range(choose.randint(2, 5))]
    model = normalise(grow(Plan(seed, 18, seed % 2 == 0, tuple(steps))))
    model = remove_units(model, [unit for unit in find_units(model) if unit.kind == "activation"])
    merged, inputs = model.copy(), random_inputs(model, seed=1)

    for _ in range(6):
        offers = find_offers(merged)
        if offers:
            choose.choice(offers)[1].apply()
            remove_dead(merged)

    onnx.checker.check_model(merged.to_bytes(), full_check=True)
    before, after = run(open_session(model), inputs), run(open_session(merged), inputs)
    same.assert_same(after, before, TOLERANCE)


def test_the_table_names_each_rule() -> None:
    assert all(rule.__name__ == name for name, rule in MERGES.items())
