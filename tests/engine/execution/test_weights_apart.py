"""A session that is given the weights says what one says that reads them from the file, to the last bit."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
import onnxruntime
import pytest

from engine.execution import weights_apart as module
from engine.execution.runtime import open_session, run
from engine.execution.weights_apart import weights_apart
from engine.graph.model import Model
from tests.networks import NETWORKS, Draft, images


@pytest.fixture
def any_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LARGE_BYTES", 0)
    monkeypatch.setattr(module, "BYTES_MIN", 64)


@pytest.mark.usefixtures("any_size")
@pytest.mark.parametrize("name", NETWORKS)
def test_a_session_with_the_weights_beside_it_says_the_same(name: str) -> None:
    model: Model = NETWORKS[name][0]()
    file = model.to_bytes()
    graph, weights = weights_apart(model)
    assert weights
    assert len(graph) < len(file)

    whole = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    session = open_session(model)
    del graph, weights  # the session alone keeps them now
    feed = images(model)

    said, expected = run(session, feed), run(whole, feed)
    assert said.keys() == expected.keys()
    for output, array in expected.items():
        np.testing.assert_array_equal(said[output], array)
    assert model.to_bytes() == file


@pytest.mark.usefixtures("any_size")
def test_what_nothing_reads_is_not_given() -> None:
    """The runtime drops it as it reads the file, and would miss the place to put it."""
    model: Model = NETWORKS["residual"][0]()
    feed = images(model)
    before = run(open_session(model), feed)
    spare = ir.Value(name="spare", const_value=ir.tensor(np.ones(4096, np.float32), name="spare"))
    model.graph.register_initializer(spare)

    after = run(open_session(model), feed)

    assert "spare" not in weights_apart(model)[1]
    for output, array in before.items():
        np.testing.assert_array_equal(after[output], array)


@pytest.mark.usefixtures("any_size")
def test_a_large_constant_that_is_packed_into_nothing_is_kept_by_the_session() -> None:
    draft = Draft()
    places = np.random.default_rng(0).standard_normal((1, 3, 512, 512)).astype(np.float32)
    size = (1, 3, 512, 512)
    model = draft.model(draft.node("Add", "image", draft.constant(places)), size, size)
    session, image = open_session(model), np.zeros((1, 3, 512, 512), np.float32)
    (name,) = (output.name for output in model.outputs)
    model.set_weight(next(iter(model.graph.initializers)), np.zeros_like(places))

    rubbish = [np.full(places.shape, 7, np.float32) for _ in range(8)]  # takes whatever memory was given back

    np.testing.assert_array_equal(run(session, {model.inputs[0].name: image})[name], places)
    assert len(rubbish) == 8


def test_a_small_network_stays_whole() -> None:
    model: Model = NETWORKS["residual"][0]()

    graph, weights = weights_apart(model)

    assert graph == model.to_bytes()
    assert not weights


@pytest.mark.usefixtures("any_size")
def test_a_session_keeps_what_the_model_lets_go() -> None:
    model: Model = NETWORKS["residual"][0]()
    feed, session = images(model), open_session(model)
    before = run(session, feed)

    for name in list(model.graph.initializers):
        model.set_weight(name, np.zeros_like(model.weight(name)))

    after = run(session, feed)
    for output, array in before.items():
        np.testing.assert_array_equal(after[output], array)
