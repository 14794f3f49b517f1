"""Counts agree with those worked out by hand and with PyTorch's own counter; what is not counted is named."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch
from torch.nn import functional
from torch.utils.flop_counter import FlopCounterMode

from engine.measure.cost import cost, count
from tests.engine.measure.conftest import Parse

CONV = """agraph (float[{batch}, 4, {height}, 10] x) => (float[n, m, h, w] y)
    <float[{out}, {inside}, 3, 3] weight = {zeros}, float[{out}] bias = {bias}>
    {{ y = Conv<group = {groups}, strides = [2, 2], pads = [1, 1, 1, 1]>(x, weight, bias) }}"""


def conv(batch: str = "n", height: str = "8", out: int = 6, groups: int = 2) -> str:
    inside = 4 // groups
    zeros, bias = ("{" + ",".join(["0"] * size) + "}" for size in (out * inside * 9, out))
    return CONV.format(batch=batch, height=height, out=out, groups=groups, inside=inside, zeros=zeros, bias=bias)


def test_a_convolution_by_hand(parse: Parse) -> None:
    found = cost(parse(conv()))

    assert found.macs == 6 * 4 * 5 * (4 // 2) * 9
    assert found.parameters == 6 * 2 * 9 + 6
    assert found.uncounted == ()


@pytest.mark.parametrize("batch", ["n", "1", "8"])
def test_the_count_is_for_one_image_whatever_the_batch(batch: str, parse: Parse) -> None:
    assert cost(parse(conv(batch))).macs == cost(parse(conv())).macs


def test_sizes_that_the_network_leaves_open_are_said_or_named(parse: Parse) -> None:
    model = parse(conv(height="h"))

    assert cost(model).uncounted == ("Conv (shape unknown)",)
    assert count(model, {"x": (4, 8, 10)}) == count(parse(conv()))


def test_counts_agree_with_pytorch(parse: Parse) -> None:
    """One network with a convolution of each kind, a linear layer of each kind and a product of activations."""
    model = parse("""agraph (float[n, 4, 8, 8] x, float[4, 2, 3, 3] deep, float[8, 4, 3, 3] full,
        float[8, 3, 2, 2] up, float[768, 10] gemm, float[16, 5] matmul)
        => (float[n, 10] y, float[n, 3, 16, 5] z, float[n, 3, 16, 16] scores) {
        a = Conv<group = 2, pads = [1, 1, 1, 1]>(x, deep)
        b = Conv<strides = [1, 1], dilations = [1, 1], pads = [1, 1, 1, 1]>(a, full)
        c = ConvTranspose<strides = [2, 2]>(b, up)
        flat = Flatten(c)
        y = Gemm(flat, gemm)
        turned = Transpose<perm = [0, 1, 3, 2]>(c)
        scores = MatMul(c, turned)
        z = MatMul(scores, matmul)
    }""")

    def run(x: torch.Tensor) -> None:
        a = functional.conv2d(x, torch.zeros(4, 2, 3, 3), padding=1, groups=2)
        b = functional.conv2d(a, torch.zeros(8, 4, 3, 3), padding=1)
        c = functional.conv_transpose2d(b, torch.zeros(8, 3, 2, 2), stride=2)
        functional.linear(c.flatten(1), torch.zeros(10, 768))
        scores = c @ c.transpose(2, 3)
        scores.reshape(48, 16) @ torch.zeros(16, 5)

    with FlopCounterMode(display=False) as counter:
        run(torch.zeros(1, 4, 8, 8))

    assert cost(model).macs == counter.get_total_flops() // 2


def test_a_transposed_left_factor(parse: Parse) -> None:
    model = parse("agraph (float[1, 6] x, float[1, 5] w) => (float[6, 5] y) { y = Gemm<transA = 1>(x, w) }")

    assert cost(model).macs == 6 * 5 * 1


def test_shapes_spelt_out_as_arithmetic_are_followed(parse: Parse) -> None:
    model = parse("""agraph (float[n, 2, 6] x, float[12, 3] w) => (float[n, 3] y) <int64[1] rest = {-1}> {
        like = CastLike(rest, rest)
        zero = Constant<value = int64[1] {0}>()
        one = Constant<value = int64[1] {1}>()
        shape = Shape(x)
        batch = Slice(shape, zero, one)
        wanted = Concat<axis = 0>(batch, like)
        flat = Reshape(x, wanted)
        y = MatMul(flat, w)
    }""")

    assert cost(model).macs == 12 * 3


def test_everything_else_that_calculates_is_named_once(parse: Parse) -> None:
    model = parse("""agraph (float[n, 4] x) => (float[n, 2, 2] y) <int64[3] shape = {0, 2, 2}> {
        a = Relu(x)
        b = Relu(a)
        c = Add(a, b)
        y = Reshape(c, shape)
    }""")

    assert cost(model).uncounted == ("Add", "Relu")


def test_parameters_are_floating_point_tensors(parse: Parse) -> None:
    model = parse("""agraph (float[n, 2] x) => (float[n, 2] y)
        <float[2] weight = {1, 2}, float six = {6}, int64[1] i = {0}> {
        more = Constant<value = float[3] {1, 2, 3}>()
        y = Add(x, weight)
    }""")

    assert cost(model).parameters == 5


def test_the_size_is_that_of_the_file(parse: Parse) -> None:
    model = parse(conv())

    assert cost(model).size_bytes == len(model.to_bytes())


def test_counting_changes_nothing(parse: Parse) -> None:
    model = parse(conv())
    before = model.to_bytes()

    cost(model)

    assert model.to_bytes() == before


def test_counting_never_loads_torch() -> None:
    code = "import sys, engine.measure.cost; sys.exit('torch' in sys.modules)"

    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
