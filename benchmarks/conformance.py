"""ONNX's own node cases, run through the executor: which are claimed, why the others are left out, and what passes.

Run: python -m benchmarks.conformance. The test suite runs the same cases with the same functions.
"""

from __future__ import annotations

import json
import sys
import warnings
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from fnmatch import fnmatch
from functools import cache
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
import torch
from numpy.typing import NDArray
from onnx.backend.test.case.node import collect_testcases
from onnx.backend.test.case.test_case import TestCase
from torch import Tensor

from engine.execution.catalogue import SUPPORTED
from engine.execution.element_types import is_run
from engine.execution.executor import Executor
from engine.graph.model import Model

REFUSED = {
    "test_scan_sum": "the Scan of opset 8, which the executor refuses",
    "test_batchnorm_*_training_mode": "a form for training, which the executor refuses",
    "test_training_dropout*": "a form for training, which the executor refuses",
}
"""Cases by the pattern of their names that end in OperatorUnsupported; a test sees to it that they do."""

OTHERWISE = {
    "test_maxunpool_export_with_output_shape": "ONNX Runtime counts places in the shape asked for, and so do we",
    "test_resize_downsample_scales_*_align_corners": "ONNX Runtime rounds the size before it aligns, and so do we",
}
"""Cases where the deployment runtime differs from the standard and the executor from the standard with it.

The rule: where the two differ in a case of the standard's, the executor says what the network says where it is
deployed. In a form that the standard has no case for, it says what the reference of the standard says: Resize to the
nearest with half_pixel_symmetric is such a one, where ONNX Runtime is off by a pixel.
"""

DEFAULT_TOLERANCE = {"rtol": 1e-3, "atol": 1e-7}
COARSE_TOLERANCE = {torch.float16: {"rtol": 5e-3, "atol": 1e-3}, torch.bfloat16: {"rtol": 4e-2, "atol": 8e-3}}
"""What a case of few digits may be off, unless it says so itself."""


@cache
def collect() -> tuple[TestCase, ...]:
    """Return every node case that the installed onnx package makes; takes about ten seconds, once."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # drawing the cases divides by zero here and there
        return tuple(collect_testcases(None))


@cache
def claimed() -> Mapping[str, list[TestCase]]:
    """Return the claimed cases by operator."""
    found: dict[str, list[TestCase]] = defaultdict(list)
    for case in collect():
        if why_left_out(case) is None:
            found[subject(case)].append(case)
    return found


def why_left_out(case: TestCase) -> str | None:
    """Say why a case is not claimed, by the first rule that holds; None where none does and the case is claimed."""
    nodes = list(_nodes(case.model.graph))
    foreign = sorted({node.domain for node in nodes} - {"", "ai.onnx"})
    if foreign:
        return f"domain {foreign[0]}"
    unclaimed = sorted({node.op_type for node in nodes} - SUPPORTED)
    if unclaimed:
        return f"operator {unclaimed[0]}"
    kinds = {_kind(value) for value in (*case.model.graph.input, *case.model.graph.output)}
    unusual = sorted(kind for kind in kinds if any(not is_run(node.op_type, kind) for node in nodes))
    if unusual:
        return f"{ELEMENT_TYPE} {unusual[0]}"
    named = {**REFUSED, **OTHERWISE}
    return next((reason for pattern, reason in named.items() if fnmatch(case.name, pattern)), None)


def subject(case: TestCase) -> str:
    """Return the operator that a case is about, or FUNCTIONS where it was written out as several."""
    nodes = case.model.graph.node
    return str(nodes[0].op_type) if len(nodes) == 1 else FUNCTIONS


ELEMENT_TYPE = "element type"
FUNCTIONS = "(functions written out)"


def run_case(case: TestCase) -> None:
    """Run one case; raises AssertionError where the executor does not say what the standard says."""
    executor = Executor(Model(ir.from_proto(case.model)))
    names = [value.name for value in case.model.graph.input]
    for inputs, wanted in case.data_sets:
        with torch.no_grad():
            found = executor({name: as_tensor(x) for name, x in zip(names, inputs, strict=True)})
        for output, value in zip(case.model.graph.output, wanted, strict=True):
            compare(found[output.name], as_tensor(value), case)


def as_array(value: Any) -> NDArray[Any]:
    return onnx.numpy_helper.to_array(value) if isinstance(value, onnx.TensorProto) else np.asarray(value)


def compare(found: Tensor, wanted: Tensor, case: TestCase) -> None:
    """Raise AssertionError unless both are the same: to the case's tolerance, whole numbers and truths exactly."""
    assert found.shape == wanted.shape, f"{case.name}: shape {tuple(found.shape)}, not {tuple(wanted.shape)}"
    assert found.dtype == wanted.dtype, f"{case.name}: {found.dtype}, not {wanted.dtype}"
    if not wanted.is_floating_point():
        np.testing.assert_array_equal(found.numpy(), wanted.numpy(), err_msg=case.name)
        return
    own = {"rtol": case.rtol, "atol": case.atol}
    tolerance = COARSE_TOLERANCE.get(wanted.dtype, own) if own == DEFAULT_TOLERANCE else own
    if wanted.dtype == torch.float32 and wanted.isfinite().any():
        # what should cancel to nothing keeps a rounding step of the largest element, in the standard's numbers too
        step = float(np.finfo(np.float32).eps) * wanted[wanted.isfinite()].abs().max().item()
        tolerance = {"rtol": case.rtol, "atol": max(case.atol, step)}
    np.testing.assert_allclose(found.double().numpy(), wanted.double().numpy(), err_msg=case.name, **tolerance)


def as_tensor(value: Any) -> Tensor:
    array = as_array(value).copy()  # PyTorch takes no negative strides
    if array.dtype.name == "bfloat16":  # a type that NumPy has from elsewhere, and PyTorch does not know by it
        return torch.tensor(array.view(np.int16)).view(torch.bfloat16)
    return torch.tensor(array)


def _nodes(graph: onnx.GraphProto) -> Iterator[onnx.NodeProto]:
    """Go through the nodes, those of inner graphs included."""
    for node in graph.node:
        yield node
        for attribute in node.attribute:
            yield from _nodes(attribute.g)


def _kind(value: onnx.ValueInfoProto) -> str:
    kind = value.type.WhichOneof("value")
    return ir.DataType(value.type.tensor_type.elem_type).name if kind == "tensor_type" else str(kind)


def main() -> None:
    failures = {}
    for cases in claimed().values():
        for case in cases:
            try:
                run_case(case)
            except Exception as error:  # any error at all fails the case, and the next one is run
                failures[case.name] = f"{type(error).__name__}: {error}"
    print("Not claimed, by the first reason that holds, and the number of cases:\n")
    reasons = Counter(reason for reason in map(why_left_out, collect()) if reason is not None)
    for reason, count in sorted(reasons.items()):
        print(f"  {reason}: {count}")
    print("\nFailed:\n" if failures else "\nNone of the claimed cases failed.\n")
    for name, message in failures.items():
        print(f"  {name}: {message}")
    print(json.dumps(_figures(failures)))
    sys.exit(bool(failures))


def _figures(failures: Mapping[str, str]) -> dict[str, int]:
    total = sum(len(cases) for cases in claimed().values())
    operators = set(claimed()) - {FUNCTIONS}
    return {"claimed_operators": len(operators), "claimed_cases": total, "passed": total - len(failures)}


if __name__ == "__main__":
    main()
