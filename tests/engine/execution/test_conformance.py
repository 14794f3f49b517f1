"""ONNX's own cases for every operator that we run: each one claimed passes, each one refused is refused by name."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import replace
from fnmatch import fnmatch
from pathlib import Path

import numpy as np
import onnx_ir as ir
import pytest
import torch
from onnx import helper
from onnx.reference import ReferenceEvaluator
from torch import Tensor

from benchmarks.conformance import (
    DEFAULT_TOLERANCE,
    ELEMENT_TYPE,
    FUNCTIONS,
    OTHERWISE,
    REFUSED,
    as_array,
    claimed,
    collect,
    compare,
    run_case,
    why_left_out,
)
from engine.errors import OperatorUnsupported
from engine.execution.catalogue import SUPPORTED, WITHOUT_GRADIENT
from engine.execution.element_types import SCARCE, TAKE_SCARCE, TYPES
from engine.execution.executor import Executor
from engine.execution.operators import OPERATORS
from engine.execution.page import operators_page
from engine.execution.runtime import open_session, run
from engine.execution.tensors import TORCH_TYPES
from engine.graph.model import Model

NO_CASES = {"GlobalLpPool", "MaxRoiPool"}
"""Operators for which the standard has no case; test_parity.py holds them against ONNX Runtime."""


@pytest.mark.parametrize("operator", [*sorted(OPERATORS), FUNCTIONS])
def test_each_claimed_case_of_the_standard_passes(operator: str) -> None:
    cases = claimed().get(operator, [])

    for case in cases:
        run_case(case)

    assert bool(cases) != (operator in NO_CASES)


@pytest.mark.parametrize("pattern", REFUSED)
def test_what_is_refused_is_refused_by_name(pattern: str) -> None:
    """Never run wrongly in silence: the error names the node."""
    cases = [case for case in collect() if fnmatch(case.name, pattern)]

    for case in cases:
        with pytest.raises(OperatorUnsupported, match=str(case.model.graph.node[0].op_type)):
            run_case(case)

    assert cases


def test_a_case_of_a_type_that_is_not_run_is_refused_by_its_node() -> None:
    cases = [case for case in collect() if (why_left_out(case) or "").startswith(ELEMENT_TYPE)]

    for case in cases:
        with pytest.raises(OperatorUnsupported) as refused:
            Executor(Model(ir.from_proto(case.model)))
        assert refused.value.where, case.name

    assert len(cases) >= 100


def test_every_type_that_is_run_has_a_tensor_of_pytorch() -> None:
    assert set(TYPES) == {kind.name for kind in TORCH_TYPES}
    assert set(SCARCE) < set(TYPES)
    assert TAKE_SCARCE < SUPPORTED


@pytest.mark.parametrize("wanted", [torch.tensor([100000, 1]), torch.tensor([True, False])])
def test_whole_numbers_and_truths_are_compared_exactly(wanted: Tensor) -> None:
    """A relative tolerance would let a large number be one off."""
    case, found = collect()[0], wanted.clone()
    compare(found, wanted, case)
    found[0] = found[0] - 1 if wanted.dtype == torch.int64 else ~found[0]

    with pytest.raises(AssertionError):
        compare(found, wanted, case)


@pytest.mark.parametrize(("rtol", "passes"), [(DEFAULT_TOLERANCE["rtol"], True), (1e-4, False), (1e-1, True)])
def test_a_tolerance_of_its_own_goes_before_that_of_half_precision(rtol: float, passes: bool) -> None:
    wanted, found = torch.tensor([1.0], dtype=torch.float16), torch.tensor([1.002], dtype=torch.float16)
    case = replace(collect()[0], rtol=rtol)

    with nullcontext() if passes else pytest.raises(AssertionError):
        compare(found, wanted, case)


def test_a_form_without_a_case_says_what_the_standard_says() -> None:
    """ONNX Runtime takes other pixels here; the reference implementation is the standard's own."""
    x = np.arange(20, dtype=np.float32).reshape(1, 1, 4, 5)
    factors = np.array([1, 1, 0.6, 1.7], np.float32)
    node = helper.make_node(
        "Resize", ["x", "", "s"], ["y"], mode="nearest", coordinate_transformation_mode="half_pixel_symmetric"
    )
    given = [helper.make_tensor_value_info("x", 1, x.shape), helper.make_tensor_value_info("s", 1, [4])]
    graph = helper.make_graph([node], "resize", given, [helper.make_tensor_value_info("y", 1, None)])
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 22)], ir_version=10)

    (wanted,) = ReferenceEvaluator(proto).run(None, {"x": x, "s": factors})
    found = Executor(Model(ir.from_proto(proto)))({"x": torch.from_numpy(x), "s": torch.from_numpy(factors)})["y"]

    assert np.array_equal(found.numpy(), wanted)


@pytest.mark.parametrize("pattern", OTHERWISE)
def test_what_differs_from_the_standard_is_what_the_runtime_says(pattern: str) -> None:
    cases = [case for case in collect() if fnmatch(case.name, pattern)]

    for case in cases:
        names = [value.name for value in case.model.graph.input]
        model = Model(ir.from_proto(case.model))
        for given, _ in case.data_sets:
            inputs = dict(zip(names, map(as_array, given), strict=True))
            (deployed,) = run(open_session(model), inputs).values()
            (found,) = Executor(model)({name: torch.from_numpy(array) for name, array in inputs.items()}).values()
            assert np.abs(found.numpy() - deployed).max() <= 1e-4 * np.abs(deployed).max()

    assert cases


def test_the_bar_of_the_standard_is_met() -> None:
    cases = {name: len(found) for name, found in claimed().items()}

    assert len(set(cases) - {FUNCTIONS}) >= 100
    assert sum(cases.values()) >= 600


def test_the_torch_free_catalogue_names_the_same_operators() -> None:
    assert set(OPERATORS) == SUPPORTED
    assert WITHOUT_GRADIENT <= SUPPORTED


def test_the_page_of_operators_is_current() -> None:
    page = Path("docs/operators.md").read_text(encoding="utf-8")

    assert page == operators_page(), "print it again: python -m engine.execution.page > docs/operators.md"
