"""Sessions of ONNX Runtime: what was asked for is what runs, or the reason is told."""

from __future__ import annotations

import numpy as np
import onnxruntime
import pytest

from engine.errors import DeviceUnavailable, ModelUnreadable
from engine.execution.runtime import open_session, run
from tests.networks import images, residual


def test_inner_values_can_be_fetched_beside_the_outputs() -> None:
    model = residual()
    inner = [node.outputs[0].name for node in model.graph if node.op_type == "Add"]

    session = open_session(model, fetch=inner)
    everything = run(session, images(model))

    assert set(everything) == {*inner, *(info.name for info in model.outputs)}
    assert list(run(session, images(model), inner[:1])) == inner[:1]
    assert [info.name for info in residual().outputs] == [info.name for info in model.outputs]


def test_bytes_and_model_give_the_same() -> None:
    model = residual()
    name = model.outputs[0].name
    inner = [node.outputs[0].name for node in model.graph][:1]

    a = run(open_session(model, fetch=inner), images(model))
    b = run(open_session(model.to_bytes(), fetch=inner), images(model))

    assert np.array_equal(a[name], b[name])
    assert np.array_equal(a[inner[0]], b[inner[0]])


def test_threads_are_those_that_were_asked_for() -> None:
    options = open_session(residual(), threads=2).get_session_options()

    assert (options.intra_op_num_threads, options.inter_op_num_threads) == (2, 1)
    assert options.graph_optimization_level == onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL


def test_a_provider_that_is_not_here_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["CPUExecutionProvider"])

    with pytest.raises(DeviceUnavailable, match="CUDAExecutionProvider"):
        open_session(residual(), provider="cuda")


def test_a_graph_that_the_runtime_refuses_is_told_in_one_line() -> None:
    with pytest.raises(ModelUnreadable, match="ONNX Runtime refuses"):
        open_session(b"not a network")
