"""The executor says what ONNX Runtime says, learns as a PyTorch module learns, and writes back what it has learnt."""

from __future__ import annotations

import copy

import numpy as np
import onnx_ir as ir
import pytest
import torch
from onnx import TensorProto, helper
from torch import Tensor

from engine.errors import OperatorUnsupported
from engine.execution.executor import Executor
from engine.execution.operators import control
from engine.execution.runtime import open_session, run
from engine.graph.extract import extract
from engine.graph.model import Model
from engine.graph.normalise import normalise
from tests.engine.execution.drawn import looping
from tests.networks import (
    CHANNELS,
    NETWORKS,
    Draft,
    half_precision,
    images,
    residual,
    residual_with_batch_norm,
    shared_weights,
)

PARITY = 1e-4


def tensors(model: Model, batch: int | None = None) -> dict[str, Tensor]:
    return {name: torch.from_numpy(array) for name, array in images(model, batch).items()}


@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("name", NETWORKS)
def test_every_value_agrees_with_onnx_runtime(name: str, batch: int) -> None:
    """Not the outputs alone: each value between two nodes, at more than one batch size where none is fixed."""
    model = normalise(NETWORKS[name][0]())
    own = model.inputs[0].shape[0]
    batch = own if isinstance(own, int) else batch
    fetch = [value.name for node in model.graph for value in node.outputs]
    wanted = run(open_session(extract(model, fetch)), images(model, batch))

    with torch.no_grad():
        found = Executor(model)(tensors(model, batch), fetch)

    for value, array in wanted.items():
        assert found[value].shape == array.shape
        assert np.abs(found[value].numpy() - array).max() <= PARITY * max(np.abs(array).max(), 1e-6)


def test_half_precision_is_run_in_half_precision() -> None:
    model = normalise(half_precision())
    (name,) = (info.name for info in model.outputs)
    wanted = run(open_session(model), images(model))[name]

    executor = Executor(model)
    found = executor(tensors(model))[name]
    found.square().sum().backward()

    assert {parameter.dtype for parameter in executor.parameters()} == {torch.float16}
    assert np.abs(found.detach().numpy() - wanted).max() <= 1e-2 * np.abs(wanted).max()
    assert all(parameter.grad is not None for parameter in executor.parameters())


def test_a_run_may_start_and_end_anywhere() -> None:
    """Given a value in the middle, only what lies behind it runs, and the graph's input is not asked for."""
    model = residual()
    executor = Executor(model)
    middle = next(node for node in model.graph if node.op_type == "Add").outputs[0].name
    whole = executor(tensors(model), [middle, model.outputs[0].name])

    tail = executor({middle: whole[middle]})

    assert torch.equal(tail[model.outputs[0].name], whole[model.outputs[0].name])
    with pytest.raises(KeyError, match="image"):
        executor({})
    with pytest.raises(KeyError, match="nowhere"):
        executor(tensors(model), ["nowhere"])


def test_training_lowers_the_loss_and_is_written_back() -> None:
    model = normalise(residual())
    before = model.copy()
    executor = Executor(model)
    optimiser = torch.optim.SGD(executor.parameters(), lr=0.05)
    inputs, output = tensors(model, 8), model.outputs[0].name
    losses = []
    for _ in range(20):
        optimiser.zero_grad()
        loss = (executor(inputs)[output] - 1).square().mean()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())

    executor.write_back()

    assert losses[-1] < 0.2 * losses[0]
    assert model.to_bytes() != before.to_bytes()
    deployed = run(open_session(model), images(model, 8))[output]
    trained = executor(inputs)[output].detach().numpy()
    assert np.abs(deployed - trained).max() <= PARITY * np.abs(trained).max()


@pytest.mark.parametrize("name", NETWORKS)
def test_writing_back_without_training_changes_no_bit(name: str) -> None:
    model = normalise(NETWORKS[name][0]())
    weights = {weight: model.weight(weight).copy() for weight in model.graph.initializers}
    executor = Executor(model)

    executor.write_back()

    assert all(np.array_equal(model.weight(weight), array) for weight, array in weights.items())


@pytest.mark.parametrize("name", NETWORKS)
def test_every_gradient_is_there(name: str) -> None:
    model = normalise(NETWORKS[name][0]())
    executor = Executor(model)

    executor(tensors(model))[model.outputs[0].name].square().sum().backward()

    assert all(parameter.grad is not None for parameter in executor.parameters())


def test_a_shared_kernel_is_one_parameter() -> None:
    model = normalise(shared_weights())
    kernel = next(node for node in model.graph if len(node.inputs) == 2 and node.op_type == "Conv").inputs[1]
    assert kernel is not None

    names = Executor(model).weight_names

    assert len(kernel.uses()) == 2
    assert len(set(names.values())) == len(names)
    assert str(kernel.name) in names


def test_scalars_bounds_and_shapes_are_not_trained() -> None:
    for name in ("inverted_residual", "transformer", "clutter"):
        model = normalise(NETWORKS[name][0]())

        assert all(parameter.numel() > 1 for parameter in Executor(model).parameters())


def test_a_mask_is_not_trained() -> None:
    """Minus infinity says what is not to be seen; the same tensor without it may as well be a bias."""
    for hidden, trained in ((-np.inf, 0), (-1.0, 1)):
        draft = Draft()
        mask = draft.constant(np.triu(np.full((16, 16), hidden), 1))
        model = draft.model(draft.node("Softmax", draft.node("Add", "image", mask)), output_shape=("batch", 3, 16, 16))

        assert len(list(Executor(model).parameters())) == trained


def test_channels_may_lie_first_or_last_in_memory() -> None:
    model = normalise(residual())
    (name,) = (info.name for info in model.outputs)
    first, last = Executor(model, channels_last=False), Executor(model, channels_last=True)

    outputs = [executor(tensors(model))[name] for executor in (first, last)]
    for output in outputs:
        output.square().sum().backward()

    assert torch.allclose(*outputs, rtol=PARITY, atol=PARITY)
    for ours, theirs in zip(first.parameters(), last.parameters(), strict=True):
        assert ours.grad is not None
        assert theirs.grad is not None
        assert torch.allclose(ours.grad, theirs.grad, rtol=PARITY, atol=PARITY * float(ours.grad.abs().max()))
    kernels = [parameter for parameter in last.parameters() if parameter.dim() == 4]
    assert kernels
    assert all(kernel.is_contiguous(memory_format=torch.channels_last) for kernel in kernels)


def test_a_loop_without_end_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(control, "TURNS_MAX", 2)
    case = looping(21)
    names = (info.name for info in case.model.graph.input)
    inputs = {name: torch.tensor(array) for name, array in zip(names, case.data_sets[0][0], strict=True)}

    with pytest.raises(OperatorUnsupported, match="'Loop_1': Loop with more than 2 turns"):
        Executor(Model(ir.from_proto(case.model)))(inputs)


def test_a_layer_with_one_channel_is_trained() -> None:
    draft = Draft()
    model = draft.model(draft.node("GlobalAveragePool", draft.conv("image", 3, 1)), output_shape=("batch", 1, 1, 1))

    assert sorted(parameter.numel() for parameter in Executor(model).parameters()) == [1, 27]


def test_batch_norm_moves_in_training_only() -> None:
    model = normalise(residual_with_batch_norm())
    executor = Executor(model)
    still = copy.deepcopy(dict(executor.named_buffers()))
    inputs, output = tensors(model, 8), model.outputs[0].name

    resting = executor(inputs)[output]
    assert all(torch.equal(buffer, still[name]) for name, buffer in executor.named_buffers())
    moving = executor.train()(inputs)[output]
    executor.eval()

    assert not executor.training
    assert not torch.allclose(resting, moving)
    assert not any(torch.equal(buffer, still[name]) for name, buffer in executor.named_buffers())
    executor.write_back()
    deployed = run(open_session(model), images(model, 8))[output]
    assert np.abs(deployed - executor(inputs)[output].detach().numpy()).max() <= PARITY * np.abs(deployed).max()


def test_the_executor_starts_in_evaluation_mode() -> None:
    assert not Executor(residual()).training


def test_values_are_freed_after_their_last_use() -> None:
    """Of a chain of large values no more than a few live at a time."""
    draft = Draft()
    x = "image"
    for _ in range(50):
        x = draft.node("Neg", x)
    model = draft.model(x, output_shape=("batch", 3, 16, 16))
    alive: list[int] = []
    executor = Executor(model)
    living: set[int] = set()

    class Counted(Tensor):
        @classmethod
        def __torch_function__(cls, function, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
            result = super().__torch_function__(function, types, args, kwargs or {})
            if isinstance(result, Counted):
                living.add(id(result))
                alive.append(len(living))
            return result

        def __del__(self) -> None:
            living.discard(id(self))

    executor({"image": torch.ones(1, 3, 16, 16).as_subclass(Counted)})

    assert max(alive) < 10


def test_an_unknown_operator_is_named_with_those_that_are_known() -> None:
    graph = helper.make_graph(
        [helper.make_node("StringNormalizer", ["x"], ["y"], name="culprit")],
        "text",
        [helper.make_tensor_value_info("x", TensorProto.STRING, [1])],
        [helper.make_tensor_value_info("y", TensorProto.STRING, [1])],
    )
    model = Model(ir.from_proto(helper.make_model(graph)))

    with pytest.raises(OperatorUnsupported, match=r"'culprit'.*StringNormalizer is not supported.*Conv, ") as refusal:
        Executor(model)
    assert refusal.value.where == "culprit"


def test_half_and_double_precision_come_back_in_their_own_type() -> None:
    for dtype in (np.float16, np.float64):
        draft = Draft()
        weight = draft.constant(np.ones((5, CHANNELS)), dtype)
        model = draft.model(
            draft.node(
                "MatMul", draft.node("Cast", "image", to=helper.np_dtype_to_tensor_dtype(np.dtype(dtype))), weight
            )
        )
        executor = Executor(model)

        executor.write_back()

        assert model.weight(weight).dtype == dtype
