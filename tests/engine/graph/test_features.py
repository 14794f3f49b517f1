"""Features: the values that recovery compares, found for every output that can be compared."""

from __future__ import annotations

import onnx_ir as ir
import pytest

from engine.errors import OperatorUnsupported
from engine.graph.features import find_features
from engine.graph.model import Model
from engine.graph.normalise import normalise
from tests.networks import CHANNELS, Draft, residual, stem, sum_is_output


def with_top_class(model: Model, *, alone: bool = False) -> Model:
    """Return the plain form with the index of the best class as an output, beside the scores or in their place."""
    wider = model.copy()
    top = ir.node("ArgMax", [wider.graph.outputs[0]], {"axis": 1}, name="top")
    top.outputs[0].name = "top_class"
    wider.graph.append(top)
    if alone:
        wider.graph.outputs.clear()
    wider.graph.outputs.append(top.outputs[0])
    return normalise(wider)


def test_the_feature_of_scores_is_what_their_head_reads() -> None:
    model = normalise(residual())
    last_relu = [node for node in model.graph if node.op_type == "Relu"][-1]

    features = find_features(model)

    assert features.values == (last_relu.outputs[0].name,)
    assert features.logits == (model.outputs[0].name,)


def test_an_output_that_is_no_class_score_stands_for_itself() -> None:
    model = normalise(sum_is_output())

    features = find_features(model)

    assert (features.values, features.logits) == ((model.outputs[0].name,), ())


def test_an_output_of_integers_is_no_feature() -> None:
    """It has no gradient, and a relative error of class indices means nothing."""
    assert find_features(with_top_class(residual())) == find_features(normalise(residual()))


def test_a_network_that_only_gives_integers_is_told_what_to_do() -> None:
    with pytest.raises(OperatorUnsupported, match=r"'top_class' of int64.*as a floating-point output"):
        find_features(with_top_class(residual(), alone=True))


def test_a_network_that_only_gives_truths_is_told_what_to_do() -> None:
    draft = Draft()
    logits = draft.classify(stem(draft), CHANNELS)
    model = draft.model(logits)
    yes = ir.node("Greater", [model.graph.outputs[0], model.graph.outputs[0]], name="compare")
    yes.outputs[0].name = "is_more"
    model.graph.append(yes)
    model.graph.outputs[0] = yes.outputs[0]

    with pytest.raises(OperatorUnsupported, match="'is_more' of bool"):
        find_features(normalise(model))
