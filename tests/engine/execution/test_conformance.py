"""ONNX's own cases for every operator that we run: each one passes, or is refused with a reason."""

from __future__ import annotations

import warnings
from collections import defaultdict
from contextlib import suppress
from functools import cache
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
import pytest
import torch
from onnx.backend.test.case.node import collect_testcases

from engine.errors import OperatorUnsupported
from engine.execution.catalogue import SUPPORTED
from engine.execution.executor import Executor
from engine.execution.operators import OPERATORS
from engine.graph.model import Model

OUTSIDE = {
    "test_reduce_max_empty_set": "no network reduces an empty tensor",
    "test_reduce_max_empty_set_bool": "no network reduces an empty tensor",
    "test_reduce_min_empty_set": "no network reduces an empty tensor",
    "test_resize_downsample_scales_linear_align_corners": "ONNX Runtime rounds the size before it aligns, and so do we",
    "test_resize_downsample_scales_cubic_align_corners": "ONNX Runtime rounds the size before it aligns, and so do we",
}
"""Cases that we do not claim, and why."""

TYPES = {np.dtype(name) for name in ("float16", "float32", "float64", "int8", "int32", "int64", "uint8", "bool")}
HALF_PRECISION = {"rtol": 5e-3, "atol": 1e-3}


@cache
def cases_by_operator() -> dict[str, list[Any]]:
    """Collect the cases whose graph holds one operator, in element types that networks use."""
    found: dict[str, list[Any]] = defaultdict(list)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # drawing the cases divides by zero here and there
        for case in collect_testcases(None):
            nodes = case.model.graph.node
            if len(nodes) == 1 and not nodes[0].domain and case.name not in OUTSIDE and has_usual_types(case):
                found[nodes[0].op_type].append(case)
    return found


def has_usual_types(case: Any) -> bool:
    values = (*case.model.graph.input, *case.model.graph.output)
    kinds = [value.type.tensor_type.elem_type for value in values if value.type.HasField("tensor_type")]
    usual = [kind for kind in kinds if kind and onnx.helper.tensor_dtype_to_np_dtype(kind) in TYPES]
    return len(usual) == len(values)


def as_array(value: Any) -> np.ndarray[Any, Any]:
    return onnx.numpy_helper.to_array(value) if isinstance(value, onnx.TensorProto) else np.asarray(value)


def run_case(case: Any) -> None:
    for inputs, wanted in case.data_sets:
        executor = Executor(Model(ir.from_proto(case.model)))
        names = [value.name for value in case.model.graph.input]
        given = {name: torch.tensor(as_array(x)) for name, x in zip(names, inputs, strict=True)}
        with torch.no_grad():
            found = executor(given)
        for output, value in zip(case.model.graph.output, wanted, strict=True):
            compare(found[output.name].numpy(), as_array(value), case)


def compare(found: np.ndarray[Any, Any], wanted: np.ndarray[Any, Any], case: Any) -> None:
    assert found.shape == wanted.shape, case.name
    assert found.dtype == wanted.dtype, case.name
    tolerance = HALF_PRECISION if wanted.dtype == np.float16 else {"rtol": case.rtol or 1e-3, "atol": case.atol or 1e-7}
    np.testing.assert_allclose(found.astype(np.float64), wanted.astype(np.float64), err_msg=case.name, **tolerance)


@pytest.mark.parametrize("operator", sorted(OPERATORS))
def test_each_case_of_the_standard_passes_or_is_refused(operator: str) -> None:
    passed = 0

    for case in cases_by_operator()[operator]:
        with suppress(OperatorUnsupported):  # a form that we refuse, naming the node
            run_case(case)
            passed += 1

    assert passed > 0, f"no case of the standard was passed by {operator}"


def test_the_torch_free_catalogue_names_the_same_operators() -> None:
    assert set(OPERATORS) == SUPPORTED
