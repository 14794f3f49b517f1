"""What is spelled out runs as one kernel and says the same; what is asked for, or only looks alike, stays as it is."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from engine.execution.executor import Executor
from engine.graph.model import Model
from tests.networks import Draft

SHAPE = ("batch", 3, 16, 16)
TOLERANCE = 1e-5

Spelling = Callable[[Draft], str]


def gelu_with_the_half_last(draft: Draft) -> str:
    return draft.node("Mul", draft.node("Mul", "image", one_and_erf(draft)), draft.constant(0.5))


def gelu_with_the_half_first(draft: Draft) -> str:
    return draft.node("Mul", draft.node("Mul", "image", draft.constant(0.5)), one_and_erf(draft))


def gelu_with_the_half_in_the_middle(draft: Draft) -> str:
    return draft.node("Mul", "image", draft.node("Mul", draft.constant(0.5), one_and_erf(draft)))


def one_and_erf(draft: Draft, root: float = 2**0.5) -> str:
    inner = draft.node("Div", "image", draft.constant(root))
    return draft.node("Add", draft.constant(1.0), draft.node("Erf", inner))


def scores(draft: Draft) -> str:
    return draft.node("MatMul", "image", draft.node("Transpose", "image", perm=[0, 1, 3, 2]))


def attention(draft: Draft) -> str:
    return draft.node("MatMul", draft.node("Softmax", scores(draft), axis=-1), "image")


def scaled_attention(draft: Draft) -> str:
    scaled = draft.node("Div", scores(draft), draft.constant(4.0))
    return draft.node("MatMul", draft.node("Softmax", scaled, axis=-1), "image")


def masked_attention(draft: Draft) -> str:
    scaled = draft.node("Mul", draft.constant(0.25), scores(draft))
    masked = draft.node("Add", draft.constant(np.triu(np.full((16, 16), -np.inf), 1)), scaled)
    return draft.node("MatMul", draft.node("Softmax", masked, axis=-1), "image")


FUSED: list[Spelling] = [
    *(gelu_with_the_half_last, gelu_with_the_half_first, gelu_with_the_half_in_the_middle),
    *(attention, scaled_attention, masked_attention),
]


def doubled_gelu(draft: Draft) -> str:
    return draft.node("Mul", draft.node("Mul", "image", one_and_erf(draft)), draft.constant(2.0))


def gelu_of_another_width(draft: Draft) -> str:
    return draft.node("Mul", draft.node("Mul", "image", one_and_erf(draft, root=1.5)), draft.constant(0.5))


def gelu_of_another_value(draft: Draft) -> str:
    half = draft.node("Mul", draft.node("Tanh", "image"), draft.constant(0.5))
    return draft.node("Mul", half, one_and_erf(draft))


def attention_that_learns_its_mask(draft: Draft) -> str:
    masked = draft.node("Add", draft.weight(1, 3, 16, 16), scores(draft))
    return draft.node("MatMul", draft.node("Softmax", masked, axis=-1), "image")


def gelu_times_its_input(draft: Draft) -> str:
    half = draft.node("Mul", "image", draft.constant(0.5))
    return draft.node("Mul", half, draft.node("Mul", "image", one_and_erf(draft)))


def gelu_halved_twice(draft: Draft) -> str:
    half = draft.node("Mul", "image", draft.constant(0.5))
    return draft.node("Mul", half, draft.node("Mul", one_and_erf(draft), draft.constant(0.5)))


def mask_that_makes_more_of_the_scores(draft: Draft) -> str:
    one = draft.node("ReduceMax", "image", draft.constant([0], np.int64), keepdims=1)
    few = draft.node("MatMul", one, draft.node("Transpose", one, perm=[0, 1, 3, 2]))
    masked = draft.node("Add", few, "image")
    return draft.node("MatMul", draft.node("Softmax", masked, axis=-1), one)


def softmax_over_another_axis(draft: Draft) -> str:
    return draft.node("MatMul", draft.node("Softmax", scores(draft), axis=2), "image")


def softmax_on_the_right(draft: Draft) -> str:
    return draft.node("MatMul", "image", draft.node("Softmax", scores(draft), axis=-1))


def shared_scores(draft: Draft) -> str:
    shared = scores(draft)
    weighed = draft.node("MatMul", draft.node("Softmax", shared, axis=-1), "image")
    return draft.node("Add", weighed, shared)


UNLIKE: list[Spelling] = [
    *(doubled_gelu, gelu_of_another_width, gelu_of_another_value, gelu_times_its_input, gelu_halved_twice),
    *(softmax_over_another_axis, softmax_on_the_right, shared_scores, attention_that_learns_its_mask),
    mask_that_makes_more_of_the_scores,
]


def built(spelling: Spelling) -> Model:
    draft = Draft()
    return draft.model(spelling(draft), output_shape=SHAPE)


def image() -> Tensor:
    return torch.from_numpy(np.random.default_rng(0).standard_normal((2, 3, 16, 16), dtype=np.float32))


def run_with_gradient(model: Model, fetch: list[str]) -> tuple[Tensor, Tensor, int]:
    """Return output, gradient by the image, and how many operations the gradient goes back through."""
    x = image().requires_grad_()
    y = Executor(model)({"image": x}, fetch)[model.outputs[0].name]
    y.square().sum().backward()
    assert x.grad is not None
    return y.detach(), x.grad, length(y)


def length(y: Tensor) -> int:
    seen, waiting = set(), [y.grad_fn]
    while waiting:
        node = waiting.pop()
        if node is not None and node not in seen:
            seen.add(node)
            waiting += [following for following, _ in node.next_functions]
    return len(seen)


@pytest.mark.parametrize("spelling", [*FUSED, *UNLIKE])
def test_a_program_says_the_same_whatever_is_fused(spelling: Spelling) -> None:
    """To ask for every value between is to run each step by itself."""
    model = built(spelling)
    (name,) = (info.name for info in model.outputs)

    found, gradient, short = run_with_gradient(model, [name])
    wanted, wanted_gradient, long = run_with_gradient(model, [v.name for node in model.graph for v in node.outputs])

    assert (found - wanted).abs().max() <= TOLERANCE * wanted.abs().max()
    assert (gradient - wanted_gradient).abs().max() <= TOLERANCE * wanted_gradient.abs().max()
    assert (short < long) == (spelling in FUSED)


def lone(rank: int, value: float) -> NDArray[np.float32]:
    return np.full((1,) * rank, value, np.float32)


def gelu_by(rank: int) -> Spelling:
    def spell(draft: Draft) -> str:
        inner = draft.node("Div", "image", draft.constant(lone(rank, 2**0.5)))
        added = draft.node("Add", draft.constant(lone(rank, 1.0)), draft.node("Erf", inner))
        return draft.node("Mul", draft.node("Mul", "image", added), draft.constant(lone(rank, 0.5)))

    return spell


def attention_by(rank: int) -> Spelling:
    def spell(draft: Draft) -> str:
        scaled = draft.node("Mul", scores_of_lists(draft), draft.constant(lone(rank, 0.25)))
        return draft.node("MatMul", draft.node("Softmax", scaled, axis=-1), "image")

    return spell


def scores_of_lists(draft: Draft) -> str:
    return draft.node("MatMul", "image", draft.node("Identity", "image"))


RANKED = [
    *((gelu_by, shape) for shape in [(), (1,), (4, 4), (2, 3, 4, 4)]),
    *((attention_by, shape) for shape in [(4, 4), (2, 3, 4, 4)]),
]


@pytest.mark.parametrize("constant_rank", [0, 1, 3, 5])
@pytest.mark.parametrize(("spell", "shape"), RANKED)
def test_a_lone_number_of_higher_rank_still_makes_more_axes(
    spell: Callable[[int], Spelling], shape: tuple[int, ...], constant_rank: int
) -> None:
    x = torch.from_numpy(np.random.default_rng(0).standard_normal(shape).astype(np.float32))
    model = built(spell(constant_rank))
    wanted = Executor(model)({"image": x}, [v.name for node in model.graph for v in node.outputs])

    for name, found in Executor(model)({"image": x}).items():
        assert found.shape == wanted[name].shape
        assert (found - wanted[name]).abs().max() <= TOLERANCE


def masked_by(mask: NDArray[np.float64]) -> Spelling:
    def spell(draft: Draft) -> str:
        masked = draft.node("Add", scores(draft), draft.constant(mask))
        return draft.node("MatMul", draft.node("Softmax", masked, axis=-1), "image")

    return spell


def mask_with_a_dead_row() -> NDArray[np.float64]:
    mask = np.triu(np.full((16, 16), -np.inf), 1)
    mask[5] = -np.inf
    return mask


def test_a_row_that_a_constant_masks_wholly_stays_undefined() -> None:
    """What is spelled out divides nothing by nothing there, and so does ONNX Runtime; PyTorch's kernel gives zeros."""
    model = built(masked_by(mask_with_a_dead_row()))

    (found,) = Executor(model)({"image": image()}).values()

    assert found[:, :, 5].isnan().all()
    assert found[:, :, :5].isfinite().all()


def test_a_row_that_is_masked_wholly_at_run_time_is_nothing() -> None:
    """To look for such rows at each run would cost a pass over the mask and, on a GPU, a wait."""
    model = built(masked_by(np.zeros((16, 16))))
    (mask,) = (name for name in model.graph.initializers if name.startswith("weight"))
    given = torch.from_numpy(mask_with_a_dead_row()).float()

    (found,) = Executor(model)({"image": image(), mask: given}).values()

    assert (found[:, :, 5] == 0).all()
    assert found.isfinite().all()
