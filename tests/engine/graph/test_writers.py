"""Writers: which layer's weights can repair a value, and what they may not touch."""

from __future__ import annotations

import pytest

from engine.graph.model import Model
from engine.graph.writers import Writer, find_writer, has_bias, is_transposed, output_channels
from tests.networks import CHANNELS, Draft, residual


def dense_layers(shared: bool) -> tuple[Model, str]:
    """Two MatMuls with a bias behind each, perhaps the same one, and the name of the first sum."""
    draft = Draft()
    x = draft.node("Flatten", draft.node("GlobalAveragePool", draft.conv("image", 3, CHANNELS)))
    bias = draft.weight(CHANNELS)
    first = draft.node("Add", draft.node("MatMul", x, draft.weight(CHANNELS, CHANNELS)), bias)
    second = draft.node("MatMul", draft.node("Relu", first), draft.weight(CHANNELS, CHANNELS))
    x = draft.node("Add", second, bias if shared else draft.weight(CHANNELS))
    logits = draft.node("Gemm", x, draft.weight(5, CHANNELS), draft.weight(5), transB=1)
    return draft.model(logits), first


def writer_of(model: Model, value: str) -> Writer:
    writer = find_writer(model, value, through_relu=False)
    assert writer is not None
    return writer


@pytest.mark.parametrize("shared", [False, True])
def test_a_bias_that_others_read_is_left_alone(shared: bool) -> None:
    model, value = dense_layers(shared)

    writer = writer_of(model, value)

    assert model.nodes()[writer.node].op_type == "MatMul"
    assert len(writer.relays) == 1
    assert (writer.bias is None) == shared
    assert has_bias(model, writer) == (not shared)
    assert output_channels(model, writer) == CHANNELS


def test_a_gemm_tells_which_way_its_weights_lie() -> None:
    model, _ = dense_layers(shared=False)

    writer = writer_of(model, model.outputs[0].name)

    assert is_transposed(model.nodes()[writer.node])
    assert output_channels(model, writer) == 5
    assert has_bias(model, writer)


def test_a_convolution_writes_the_sum_that_it_ends_in() -> None:
    model = residual()
    total = [node for node in model.graph if node.op_type == "Add"][-1]

    writer = writer_of(model, str(total.outputs[0].name))

    assert model.nodes()[writer.node].op_type == "Conv"
    assert {writer.skip, str(model.nodes()[writer.node].outputs[0].name)} == {v.name for v in total.inputs if v}
    assert output_channels(model, writer) == CHANNELS
