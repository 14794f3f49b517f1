"""ONNX's own cases for every operator that we run: each one claimed passes, each one refused is refused by name."""

from __future__ import annotations

from fnmatch import fnmatch
from pathlib import Path

import numpy as np
import onnx_ir as ir
import pytest
import torch

from benchmarks.conformance import FUNCTIONS, OTHERWISE, REFUSED, as_array, claimed, collect, run_case
from engine.errors import OperatorUnsupported
from engine.execution.catalogue import SUPPORTED, WITHOUT_GRADIENT
from engine.execution.executor import Executor
from engine.execution.operators import OPERATORS
from engine.execution.page import operators_page
from engine.execution.runtime import open_session, run
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


@pytest.mark.parametrize("pattern", OTHERWISE)
def test_what_differs_from_the_standard_is_what_the_runtime_says(pattern: str) -> None:
    cases = [case for case in collect() if fnmatch(case.name, pattern)]

    for case in cases:
        names = [value.name for value in case.model.graph.input]
        inputs = dict(zip(names, map(as_array, case.data_sets[0][0]), strict=True))
        model = Model(ir.from_proto(case.model))
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
