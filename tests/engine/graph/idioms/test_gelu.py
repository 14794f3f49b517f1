"""GELU in the spellings of exporters is one operator; whatever only looks like it is left alone."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from onnx import TensorProto

from engine.graph.idioms import find
from engine.graph.normalise import GELU_OPSET, normalise
from tests.engine.graph.idioms.spelling import assert_left_alone, assert_written_as, finished, normalised
from tests.networks import Draft

Spelling = Callable[[Draft, str], str]
ROOT, SCALE = math.sqrt(2), math.sqrt(2 / math.pi)


def half_last(draft: Draft, x: str) -> str:
    """x (1 + erf(x / √2)) / 2, as the older exporter writes it."""
    erf = draft.node("Erf", draft.node("Div", x, draft.constant(ROOT)))
    return draft.node("Mul", draft.node("Mul", x, draft.node("Add", erf, draft.constant(1))), draft.constant(0.5))


def half_first(draft: Draft, x: str) -> str:
    """(x / 2) (1 + erf(x √½)), operands the other way round."""
    erf = draft.node("Erf", draft.node("Mul", draft.constant(1 / ROOT), x))
    return draft.node("Mul", draft.node("Add", draft.constant(1), erf), draft.node("Mul", draft.constant(0.5), x))


def half_between(draft: Draft, x: str) -> str:
    """x ((1 + erf(x / √2)) / 2), as the current exporter writes it."""
    erf = draft.node("Erf", draft.node("Div", x, draft.constant([ROOT])))
    half = draft.node("Mul", draft.constant(0.5), draft.node("Add", erf, draft.constant(1)))
    return draft.node("Mul", x, half)


def by_tanh(draft: Draft, x: str) -> str:
    """By tanh(√(2/π) (x + 0.044715 x³)), with a Pow."""
    cube = draft.node("Mul", draft.constant(0.044715), draft.node("Pow", x, draft.constant(3.0)))
    tanh = draft.node("Tanh", draft.node("Mul", draft.constant(SCALE), draft.node("Add", x, cube)))
    return draft.node("Mul", draft.node("Mul", x, draft.constant(0.5)), draft.node("Add", tanh, draft.constant(1.0)))


def by_tanh_of_products(draft: Draft, x: str) -> str:
    """By tanh(x √(2/π) (1 + 0.044715 x x)), as fast implementations write it."""
    square = draft.node("Mul", draft.node("Mul", draft.constant(0.044715), x), x)
    inner = draft.node("Mul", draft.node("Mul", x, draft.constant(SCALE)), draft.node("Add", square, draft.constant(1)))
    half = draft.node("Mul", x, draft.constant(0.5))
    return draft.node("Mul", draft.node("Add", draft.node("Tanh", inner), draft.constant(1.0)), half)


def leaking(draft: Draft, x: str) -> str:
    """The error function is read elsewhere too."""
    erf = draft.node("Erf", draft.node("Div", x, draft.constant(ROOT)))
    whole = draft.node("Mul", draft.node("Mul", x, draft.node("Add", erf, draft.constant(1))), draft.constant(0.5))
    return draft.node("Add", whole, erf)


def of_another(draft: Draft, x: str) -> str:
    """The product is with another value than the error function is of."""
    erf = draft.node("Erf", draft.node("Div", x, draft.constant(ROOT)))
    product = draft.node("Mul", draft.node("Relu", x), draft.node("Add", erf, draft.constant(1)))
    return draft.node("Mul", product, draft.constant(0.5))


def of_another_width(draft: Draft, x: str) -> str:
    """A normal distribution that is twice as wide."""
    erf = draft.node("Erf", draft.node("Div", x, draft.constant(2 * ROOT)))
    return draft.node("Mul", draft.node("Mul", x, draft.node("Add", erf, draft.constant(1))), draft.constant(0.5))


def of_nearly_its_width(draft: Draft, x: str) -> str:
    """A constant rounded to four digits."""
    erf = draft.node("Erf", draft.node("Mul", x, draft.constant(0.7072)))
    return draft.node("Mul", draft.node("Mul", x, draft.node("Add", erf, draft.constant(1))), draft.constant(0.5))


def by_nearly_the_tanh(draft: Draft, x: str) -> str:
    cube = draft.node("Mul", draft.constant(0.0447), draft.node("Pow", x, draft.constant(3.0)))
    tanh = draft.node("Tanh", draft.node("Mul", draft.constant(SCALE), draft.node("Add", x, cube)))
    return draft.node("Mul", draft.node("Mul", x, draft.constant(0.5)), draft.node("Add", tanh, draft.constant(1.0)))


LOOKALIKES = [leaking, of_another, of_another_width, of_nearly_its_width, by_nearly_the_tanh]


@pytest.mark.parametrize("opset", [13, 18, 20])
@pytest.mark.parametrize("spelling", [half_last, half_first, half_between])
def test_the_error_function(spelling: Spelling, opset: int) -> None:
    """One operator where the opset has it; before, found and left as it is, as it is no faster then."""
    draft = Draft(opset=opset)
    model = finished(draft, draft.node("Identity", spelling(draft, "image")))

    if opset >= GELU_OPSET:
        assert_written_as(model, "Gelu")
    else:
        (place,) = find(normalised(model), "Gelu")
        assert [value.name for value in place.inputs if value is not None] == ["image"]


@pytest.mark.parametrize("opset", [11, 17, 20])
@pytest.mark.parametrize("spelling", [by_tanh, by_tanh_of_products])
def test_the_tanh_is_worth_a_later_opset(spelling: Spelling, opset: int) -> None:
    draft = Draft(opset=opset)
    plain = assert_written_as(finished(draft, spelling(draft, "image")), "Gelu")

    assert plain.opset == GELU_OPSET
    assert len(plain.nodes()) == 1


@pytest.mark.parametrize("spelling", LOOKALIKES)
def test_what_only_looks_like_it(spelling: Spelling) -> None:
    draft = Draft(opset=20)
    assert_left_alone(finished(draft, spelling(draft, "image")), "Gelu")


def test_half_precision_rounds_its_constants() -> None:
    """√½ and 0.044715 are more than a ten-thousandth off: the type comes no nearer."""
    draft = Draft(opset=20)
    half = draft.node("Cast", "image", to=TensorProto.FLOAT16)
    erf = draft.node("Erf", draft.node("Mul", half, draft.constant(1 / ROOT, np.float16)))
    whole = draft.node("Mul", half, draft.node("Add", erf, draft.constant(1, np.float16)))
    whole = draft.node("Mul", whole, draft.constant(0.5, np.float16))
    cube = draft.node("Mul", draft.constant(0.044715, np.float16), draft.node("Pow", whole, draft.constant(3)))
    inner = draft.node("Mul", draft.constant(SCALE, np.float16), draft.node("Add", whole, cube))
    gate = draft.node("Add", draft.node("Tanh", inner), draft.constant(1, np.float16))
    product = draft.node("Mul", draft.node("Mul", whole, draft.constant(0.5, np.float16)), gate)
    model = finished(draft, draft.node("Cast", product, to=TensorProto.FLOAT))

    assert [node.op_type for node in normalise(model).graph] == ["Cast", "Gelu", "Gelu", "Cast"]


def test_a_constant_that_stretches_its_input_is_not_taken_in() -> None:
    """The output has more axes than x."""
    draft = Draft(opset=20)
    x = draft.node("Mul", "image", draft.constant(np.ones((1, 1, 1, 1, 1))))
    erf = draft.node("Erf", draft.node("Div", "image", draft.constant(ROOT)))
    wide = draft.node("Mul", x, draft.node("Add", erf, draft.constant(1)))
    model = finished(draft, draft.node("Mul", wide, draft.constant(0.5)), (1, "batch", 3, 16, 16))

    assert "Gelu" not in {node.op_type for node in normalise(model).graph}
