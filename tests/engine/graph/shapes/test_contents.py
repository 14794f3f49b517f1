"""What is worked out of constants is what every run would make of them; what each run draws anew stays a node."""

from __future__ import annotations

import pytest

from engine.graph.normalise import normalise
from tests.networks import Draft


@pytest.mark.parametrize("opset", [13, 18])
@pytest.mark.parametrize(("trains", "left"), [(False, ["Add"]), (True, ["Dropout", "Add"])])
def test_dropout_of_a_constant_is_folded_only_at_rest(opset: int, trains: bool, left: list[str]) -> None:
    draft = Draft(opset=opset)
    half, training = draft.constant(0.5), draft.constant(trains, bool)
    noise = draft.node("Dropout", draft.weight(3, 1, 1), half, training)
    model = draft.model(draft.node("Add", "image", noise), output_shape=("batch", 3, 16, 16))

    plain = normalise(model)

    assert [node.op_type for node in plain.graph] == left
