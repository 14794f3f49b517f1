"""Each operator has the gradient that finite differences have, or none where the catalogue says so."""

from __future__ import annotations

import onnx_ir as ir
import pytest
import torch
from onnx import TensorProto, helper
from onnx.backend.test.case.test_case import TestCase
from torch import Tensor

from benchmarks.conformance import as_array, as_tensor, claimed
from engine.execution.catalogue import SUPPORTED, WITHOUT_GRADIENT
from engine.execution.executor import Executor
from engine.graph.model import Model
from tests.engine.execution.drawn import IMAGE, REGIONS, branching, drawn

STEP = 1e-6
TOLERANCE = 1e-5
CASES_MAX = 4
ELEMENTS_MAX = 4000

SETTINGS = {
    "BatchNormalization": {3, 4},
    "Dropout": {1},
    "MaxRoiPool": {1},
    "Pad": {2},
    "Resize": {1, 2},
    "RoiAlign": {1},
    "Upsample": {1},
}
"""Floating-point inputs that are not learnt from: statistics, sizes, places and fillings."""

Inputs = dict[str, Tensor]


OWN = {
    "Cast": drawn(helper.make_node("Cast", ["x"], ["y"], to=TensorProto.DOUBLE), [IMAGE]),
    "CastLike": drawn(helper.make_node("CastLike", ["x", "like"], ["y"]), [IMAGE, IMAGE]),
    "If": branching(),
    "GlobalLpPool": drawn(helper.make_node("GlobalLpPool", ["x"], ["y"], p=3), [IMAGE]),
    "MaxRoiPool": drawn(helper.make_node("MaxRoiPool", ["x", "rois"], ["y"], pooled_shape=[2, 2]), [IMAGE, REGIONS]),
    "Mish": drawn(helper.make_node("Mish", ["x"], ["y"]), [IMAGE]),
    "Trilu": drawn(helper.make_node("Trilu", ["x"], ["y"]), [IMAGE]),
}
"""Operators for which the standard has no case, or none in floating point."""


def cases_of(operator: str) -> list[TestCase]:
    """Return the operator's smallest cases: few numbers say as much about a gradient as many."""
    cases = [case for case in claimed().get(operator, []) if elements(case) <= ELEMENTS_MAX]
    return [*([OWN[operator]] if operator in OWN else []), *sorted(cases, key=elements)]


def elements(case: TestCase) -> int:
    return sum(as_array(array).size for array in case.data_sets[0][0])


def in_double_precision(case: TestCase) -> tuple[Inputs, list[str]]:
    """Return the inputs, moved a little, away from edges and ties, and the names of those to learn from."""
    generator, node = torch.Generator().manual_seed(0), case.model.graph.node[0]
    values, learnt = {}, []
    places = {name: place for place, name in enumerate(node.input)}
    for info, array in zip(case.model.graph.input, case.data_sets[0][0], strict=True):
        tensor = as_tensor(array)
        values[info.name] = tensor.double() if tensor.is_floating_point() else tensor
        if tensor.is_floating_point() and places.get(info.name) not in SETTINGS.get(node.op_type, ()):
            off = 0.01 * torch.rand(tensor.shape, generator=generator, dtype=torch.float64)
            values[info.name] = tensor.double() * (1 + off) + off
            learnt.append(info.name)
    return values, learnt


def projected(executor: Executor, inputs: Inputs) -> Tensor:
    """Return one number that depends on every element in double precision of every output."""
    generator = torch.Generator().manual_seed(1)
    total = torch.zeros((), dtype=torch.float64)
    for output in executor(inputs).values():
        if output.dtype == torch.float64:
            total = total + (output * torch.rand(output.shape, generator=generator, dtype=torch.float64)).sum()
    return total


def slopes(case: TestCase) -> tuple[float, float] | None:
    """Return the slope along a random direction by the gradient and by differences; None outside of the domain."""
    executor = Executor(Model(ir.from_proto(case.model)))
    inputs, learnt = in_double_precision(case)
    if not learnt or not torch.isfinite(projected(executor, inputs)):
        return None
    generator = torch.Generator().manual_seed(2)
    ways = {name: torch.rand(inputs[name].shape, generator=generator, dtype=torch.float64) - 0.5 for name in learnt}
    leaves = {name: inputs[name].clone().requires_grad_() for name in learnt}
    result = projected(executor, {**inputs, **leaves})
    if not result.requires_grad:
        return 0.0, difference(executor, inputs, ways)
    gradients = torch.autograd.grad(result, list(leaves.values()), allow_unused=True)
    by_gradient = sum(
        float((gradient * ways[name]).sum())
        for name, gradient in zip(leaves, gradients, strict=True)
        if gradient is not None
    )
    return by_gradient, difference(executor, inputs, ways)


def difference(executor: Executor, inputs: Inputs, ways: Inputs) -> float:
    with torch.no_grad():
        ahead = projected(executor, {**inputs, **{name: inputs[name] + STEP * way for name, way in ways.items()}})
        behind = projected(executor, {**inputs, **{name: inputs[name] - STEP * way for name, way in ways.items()}})
    return float(ahead - behind) / (2 * STEP)


@pytest.mark.parametrize("operator", sorted(SUPPORTED - WITHOUT_GRADIENT))
def test_the_gradient_is_the_slope(operator: str) -> None:
    checked = 0

    for case in cases_of(operator):
        found = slopes(case) if checked < CASES_MAX else None
        if found is not None:
            by_gradient, by_difference = found
            assert by_gradient == pytest.approx(by_difference, rel=TOLERANCE, abs=TOLERANCE), case.name
            checked += by_difference != 0

    assert checked > 0


@pytest.mark.parametrize("operator", sorted(WITHOUT_GRADIENT))
def test_what_is_said_to_have_no_gradient_has_none(operator: str) -> None:
    cases = cases_of(operator)[:CASES_MAX]

    for case in cases:
        inputs, learnt = in_double_precision(case)
        leaves = {name: inputs[name].requires_grad_() for name in learnt}
        result = projected(Executor(Model(ir.from_proto(case.model))), {**inputs, **leaves})
        if result.requires_grad:
            gradients = torch.autograd.grad(result, list(leaves.values()), allow_unused=True)
            assert all(gradient is None or not gradient.any() for gradient in gradients), case.name

    assert cases
