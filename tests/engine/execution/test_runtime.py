"""Sessions of ONNX Runtime: what was asked for is what runs, or the reason is told."""

from __future__ import annotations

import onnxruntime
import pytest

from engine.errors import DeviceUnavailable, ModelUnreadable
from engine.execution.runtime import open_session, run
from engine.graph.extract import extract
from tests.networks import CHANNELS, Draft, images, residual


def test_outputs_are_given_by_name() -> None:
    model = residual()
    total = next(str(node.outputs[0].name) for node in model.graph if node.op_type == "Add")
    names = [model.outputs[0].name, total]

    found = run(open_session(extract(model, names)), images(model))

    assert list(found) == names
    assert found[total].shape == (2, CHANNELS, 16, 16)


def test_threads_are_those_that_were_asked_for() -> None:
    options = open_session(residual(), threads=2).get_session_options()

    assert (options.intra_op_num_threads, options.inter_op_num_threads) == (2, 1)
    assert options.graph_optimization_level == onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL


@pytest.mark.parametrize(("spinning", "entry"), [(True, "1"), (False, "0")])
def test_idle_threads_spin_or_sleep_as_asked(spinning: bool, entry: str) -> None:
    options = open_session(residual(), threads=2, spinning=spinning).get_session_options()

    assert options.get_session_config_entry("session.intra_op.allow_spinning") == entry


def test_a_provider_that_is_not_here_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["CPUExecutionProvider"])

    with pytest.raises(DeviceUnavailable, match="CUDAExecutionProvider"):
        open_session(residual(), provider="cuda")


def test_a_graph_that_the_runtime_refuses_is_told_in_one_line() -> None:
    draft = Draft()
    model = draft.model(draft.node("NoSuchOperator", "image"))

    with pytest.raises(ModelUnreadable, match=r"^ONNX Runtime refuses[^\n]+$"):
        open_session(model)
