"""What every test of an idiom does: spell it out, normalise, look for the operator, hold the outputs together."""

from __future__ import annotations

import numpy as np

from engine.execution.runtime import open_session, run
from engine.graph.idioms import find
from engine.graph.model import Model
from engine.graph.normalise import normalise
from tests.networks import Draft, images

TOLERANCE = 1e-5


def finished(draft: Draft, output: str, shape: tuple[int | str, ...] = ("batch", 3, 16, 16)) -> Model:
    return draft.model(output, output_shape=shape)


def assert_written_as(model: Model, op_type: str, count: int = 1) -> Model:
    """The operator is there in place of its spelling, under the old name of its output, and says the same."""
    plain = normalised(model)
    assert [node.op_type for node in plain.graph].count(op_type) == count
    assert not find(plain, op_type)
    return plain


def assert_left_alone(model: Model, op_type: str) -> None:
    plain = normalised(model)
    assert op_type not in {node.op_type for node in plain.graph}
    assert not find(plain, op_type)


def normalised(model: Model) -> Model:
    plain = normalise(model)
    inputs = images(model)
    wanted, found = run(open_session(model), inputs), run(open_session(plain), inputs)
    for name, values in wanted.items():
        assert np.abs(found[name] - values).max() <= TOLERANCE * np.abs(values).max()
    return plain
