"""What every test of an idiom does: spell it out, normalise, look for the operator, hold the outputs together."""

from __future__ import annotations

from engine.execution.runtime import open_session, run
from engine.graph.idioms import find
from engine.graph.model import Model
from engine.graph.normalise import normalise
from tests.engine.graph.same import assert_same
from tests.networks import Draft, images


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
    assert_same(found, wanted)
    return plain
