"""What was kept of a network is believed where it can be read, and tells nothing where it cannot."""

from __future__ import annotations

from typing import Any

import pytest

from engine.inspection import Applicability, InspectedTensor, applicability, image_input

TENSOR: dict[str, Any] = {"name": "image", "dtype": "float32", "shape": ["batch", 3, 8, None]}
METHOD: dict[str, Any] = {"name": "auto", "applies": True, "blocked_by": None}


def without(row: dict[str, Any], key: str) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name != key}


def test_what_was_kept_is_read_without_keys_of_another_version() -> None:
    analysis = {"inputs": [TENSOR | {"layout": "NCHW"}], "methods": [METHOD | {"units": 3}], "more": 1}

    assert image_input(analysis) == InspectedTensor.model_validate(TENSOR)
    assert applicability(analysis, "auto") == Applicability.model_validate(METHOD)
    assert applicability(analysis, "l1") is None


@pytest.mark.parametrize(
    "inputs",
    [
        *(None, [], "image", 3, {}, [None], ["image"], [[]], [{}], [TENSOR, TENSOR]),
        *([without(TENSOR, key)] for key in TENSOR),
        *([TENSOR | {key: None}] for key in TENSOR),
        [TENSOR | {"shape": [[3]]}],
    ],
    ids=str,
)
def test_an_input_that_cannot_be_read_is_not_known(inputs: object) -> None:
    assert image_input({"inputs": inputs}) is None


@pytest.mark.parametrize(
    "methods",
    [
        *(None, [], "auto", 3, {}, [None], ["auto"], [[]], [{}]),
        *([without(METHOD, key)] for key in METHOD),
        *([METHOD | {key: "auto "}] for key in METHOD),
    ],
    ids=str,
)
def test_a_method_that_cannot_be_read_is_not_known(methods: object) -> None:
    assert applicability({"methods": methods}, "auto") is None


@pytest.mark.parametrize("analysis", [None, [], "", 3, {}], ids=str)
def test_what_is_no_analysis_tells_nothing(analysis: object) -> None:
    assert image_input(analysis) is None
    assert applicability(analysis, "auto") is None
