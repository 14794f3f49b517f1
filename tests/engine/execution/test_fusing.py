"""What is spelled out runs as one kernel and says the same; what is asked for, or only looks alike, stays as it is."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
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
