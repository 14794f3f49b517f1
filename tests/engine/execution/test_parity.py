"""Older forms of each operator, for which the standard has no cases, say what ONNX Runtime says."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
import pytest
import torch
from numpy.typing import NDArray
from onnx import helper
from onnx.backend.test.case.test_case import TestCase
from onnxruntime.capi.onnxruntime_pybind11_state import Fail

from benchmarks.conformance import as_array, as_tensor, claimed
from engine.errors import ModelUnreadable
from engine.execution.catalogue import SUPPORTED
from engine.execution.executor import Executor
from engine.execution.page import NEWEST_OPSET, OLDEST_OPSET, forms
from engine.execution.runtime import open_session, run
from engine.graph.model import Model
from tests.engine.execution.drawn import IMAGE, REGIONS, drawn, looping
from tests.engine.execution.uncompared import UNCOMPARED

PARITY = 1e-4

ONCE_ATTRIBUTES = {"axes", "split"}
"""Inputs that were attributes in older forms: Squeeze, Unsqueeze, Split and the reductions."""

INTS = onnx.AttributeProto.INTS
Inputs = dict[str, NDArray[Any]]

FORMS = forms()
OLDER_FORMS = {
    name: opsets
    for name in sorted(SUPPORTED)
    if (
        opsets := [
            max(version, OLDEST_OPSET)
            for version, following in pairwise(FORMS[name])
            if following > OLDEST_OPSET and version < NEWEST_OPSET
        ]
    )
}


def own(op_type: str, arrays: list[NDArray[Any]], opset: int, **attributes: Any) -> TestCase:
    names = [f"input_{place}" for place in range(len(arrays))]
    return drawn(helper.make_node(op_type, names, ["y"], **attributes), arrays, opset)


SHARES, NOTHING = np.array([2.0, 3.0], np.float32), np.array([], np.float32)
FACTORS = np.array([1, 1, 1.5, 2], np.float32)

OWN = {
    ("GlobalLpPool", 11): own("GlobalLpPool", [IMAGE], 11, p=3),
    ("GroupNormalization", 18): own("GroupNormalization", [IMAGE, SHARES, -SHARES], 18, num_groups=2),
    **{("Loop", opset): looping(opset) for opset in (13, 16, 19, 21)},
    ("MaxRoiPool", 11): own("MaxRoiPool", [IMAGE, REGIONS], 11, pooled_shape=[2, 3], spatial_scale=0.8),
    ("Resize", 11): own("Resize", [IMAGE, NOTHING, FACTORS], 11, mode="linear"),
    ("RoiAlign", 11): own("RoiAlign", [IMAGE, REGIONS[:, 1:], np.array([0, 0])], 11, output_height=3, output_width=2),
}
"""Older forms that no case of today's can be written in."""


def in_older_form(case: TestCase, opset: int) -> tuple[Model, Inputs] | None:
    """Return a standard case as a model of an older opset would spell it; None where it cannot."""
    proto = onnx.ModelProto()
    proto.CopyFrom(case.model)
    proto.ir_version = 8
    del proto.opset_import[:]
    proto.opset_import.append(helper.make_opsetid("", opset))
    (node,) = proto.graph.node
    inputs = {info.name: as_array(x) for info, x in zip(proto.graph.input, case.data_sets[0][0], strict=True)}
    known = onnx.defs.get_schema(node.op_type, opset).attributes
    for place, name in enumerate(list(node.input)):
        if name in ONCE_ATTRIBUTES and name in known:
            node.attribute.append(helper.make_attribute(name, inputs.pop(name).tolist(), attr_type=INTS))
            del node.input[place:]
            del proto.graph.input[place:]
    try:
        onnx.checker.check_model(proto)
        return Model(ir.from_proto(proto)), inputs
    except onnx.checker.ValidationError:
        return None


def older_cases(operator: str, opset: int) -> Iterator[tuple[str, Model, Inputs]]:
    if (operator, opset) in OWN:
        case = OWN[operator, opset]
        names = (info.name for info in case.model.graph.input)
        yield case.name, Model(ir.from_proto(case.model)), dict(zip(names, case.data_sets[0][0], strict=True))
    for case in claimed().get(operator, []):
        older = in_older_form(case, opset) if len(case.model.graph.node) == 1 else None
        if older is not None:
            yield case.name, *older


def compared_and_not(operator: str, opset: int) -> tuple[set[str], set[str]]:
    """Compare every case that has this older form and that ONNX Runtime takes; name those, and those it does not."""
    compared, refused = set(), set()
    for case, model, inputs in older_cases(operator, opset):
        try:
            wanted = run(open_session(model), inputs)
        except (ModelUnreadable, RuntimeError, Fail):
            refused.add(case.removeprefix("test_"))
            continue
        with torch.no_grad():
            found = Executor(model)({name: as_tensor(array) for name, array in inputs.items()})
        for name, array in wanted.items():
            agree(found[name].numpy(), array, case)
        compared.add(case)
    return compared, refused


def agree(found: NDArray[Any], wanted: NDArray[Any], name: str) -> None:
    assert found.shape == wanted.shape, name
    assert found.dtype == wanted.dtype, name
    if wanted.dtype.kind != "f":
        assert np.array_equal(found, wanted), name
        return
    finite = np.isfinite(wanted)
    assert np.array_equal(found[~finite], wanted[~finite], equal_nan=True), name
    if finite.any():
        found, wanted = found[finite].astype(np.float64), wanted[finite].astype(np.float64)
        assert np.abs(found - wanted).max() <= PARITY * np.abs(wanted).max(), name


@pytest.mark.parametrize("operator", OLDER_FORMS)
def test_older_forms_say_what_the_runtime_says(operator: str) -> None:
    uncompared = set()
    for opset in OLDER_FORMS[operator]:
        compared, refused = compared_and_not(operator, opset)
        assert compared, opset
        uncompared |= refused

    assert uncompared == UNCOMPARED.get(operator, set())
