"""Heads over the spellings of attention: what is found, that rotating changes nothing, what is refused and why."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest

from engine.check import relative_error
from engine.execution.runtime import open_session, run
from engine.graph.channels.groups import find_groups
from engine.graph.channels.ignore import ignore_channels
from engine.graph.channels.remove import remove_channels
from engine.graph.heads import Found, Rotation, find_heads, rotated
from engine.graph.model import Model
from engine.graph.normalise import normalise
from tests.engine.graph.heads.attentions import TOKENS, WIDTH, Spec, network, specs
from tests.networks import Draft, images, transformer

SPECS = list(specs())
ROUNDING = 2e-5
"""Of bases near the identity, drawn at random, in single precision."""


def found_in(model: Model) -> Found:
    return find_heads(model, find_groups(model).groups)


def say(model: Model) -> npt.NDArray[np.float32]:
    feed = images(model, batch=1 if isinstance(model.inputs[0].shape[0], int) else 3)
    return run(open_session(model), feed)[model.outputs[0].name]


def some_rotations(found: Found, seed: int = 0) -> list[Rotation]:
    """Bases drawn at random, each head its own."""
    random = np.random.default_rng(seed)
    return [
        Rotation(
            one,
            bases=random.standard_normal((len(one.heads), one.size, one.size)) / 4 + np.eye(one.size),
            shifts=np.array([random.standard_normal(one.size) * (h.mixes and h.may_shift) for h in one.heads]),
            shares=np.ones(one.size),
        )
        for one in found.heads.values()
    ]


@pytest.mark.parametrize("spec", SPECS, ids=[spec.name for spec in SPECS])
def test_rotated_is_what_it_was(spec: Spec) -> None:
    """Whatever the basis of each head; and afterwards the same channels can go, as if they were ignored."""
    model = network(spec)
    found = found_in(model)

    new = rotated(model, some_rotations(found))

    tied = spec.layout in ("five", "unbound", "tokens_first")
    pairs = sum(len(one.heads) for one in found.heads.values())
    assert not found.refused
    assert [one.size for one in found.heads.values()] == [spec.size] * (1 if tied else 2)
    assert pairs == 2 * spec.keys
    assert relative_error(say(new), say(model)) < ROUNDING
    assert any(not np.array_equal(new.weight(name), model.weight(name)) for name in model.graph.initializers)
    cuts = {name: [1, spec.size - 1] for name in found.heads}
    assert relative_error(say(remove_channels(new, cuts)), say(ignore_channels(new, cuts))) < ROUNDING


def test_heads_whose_sizes_are_worked_out_when_the_network_runs() -> None:
    model = normalise(transformer())
    found = found_in(model)

    new = rotated(model, some_rotations(found))

    assert [(one.size, len(one.heads)) for one in found.heads.values()] == [(4, 3), (4, 3)]
    assert relative_error(say(new), say(model)) < ROUNDING


def test_turning_leaves_the_network_itself_alone() -> None:
    model = network(Spec(layout="five"))
    before = model.to_bytes()

    rotated(model, some_rotations(found_in(model)))

    assert model.to_bytes() == before


def test_heads_that_share_keys_are_rotated_with_them() -> None:
    """Six heads of queries, two of keys: each basis has three heads of queries, or three blocks of the layer."""
    found = found_in(network(Spec(heads=6, keys=2, written="three", opset=23)))

    assert [len(head.there) for one in found.heads.values() for head in one.heads] == [3] * 4


Between = Callable[[Draft, str], str]


def tokens(draft: Draft) -> str:
    """(batch, tokens, width) from patches of the image."""
    patches = draft.node("Conv", "image", draft.weight(WIDTH, 3, 2, 2), kernel_shape=[2, 2], strides=[2, 2])
    flat = draft.node("Reshape", patches, draft.constant([0, WIDTH, TOKENS], np.int64))
    return draft.node("Transpose", flat, perm=[0, 2, 1])


def ended(draft: Draft, x: str) -> Model:
    mean = draft.node("Flatten", draft.node("GlobalAveragePool", draft.node("Transpose", x, perm=[0, 2, 1])))
    return normalise(
        draft.model(draft.node("Gemm", mean, draft.weight(5, WIDTH), draft.weight(5), transB=1), ("batch", 3, 8, 8))
    )


def attention_with(on_keys: Between, on_values: Between) -> Model:
    """One head of queries, keys and values, with something between projection and product."""
    draft = Draft()
    x = tokens(draft)
    q, k, v = (draft.node("MatMul", x, draft.weight(WIDTH, 6)) for _ in range(3))
    k, v = on_keys(draft, k), on_values(draft, v)
    scores = draft.node("Softmax", draft.node("MatMul", q, draft.node("Transpose", k, perm=[0, 2, 1])), axis=-1)
    x = draft.node("Add", x, draft.node("MatMul", draft.node("MatMul", scores, v), draft.weight(6, WIDTH)))
    return ended(draft, x)


def as_it_is(draft: Draft, x: str) -> str:
    return x


def rotary(draft: Draft, x: str) -> str:
    """Numbers turn in pairs, by an angle for each place: x cos + (-x2, x1) sin."""
    angles = draft.random.uniform(0, 3, (TOKENS, 6))
    first, second = (
        draft.node(
            "Slice",
            x,
            draft.constant([at], np.int64),
            draft.constant([at + 3], np.int64),
            draft.constant([2], np.int64),
        )
        for at in (0, 3)
    )
    other = draft.node("Concat", draft.node("Neg", second), first, axis=2)
    turning = draft.node("Mul", other, draft.constant(np.sin(angles)))
    return draft.node("Add", draft.node("Mul", x, draft.constant(np.cos(angles))), turning)


def a_scale_for_each(draft: Draft, x: str) -> str:
    return draft.node("Mul", x, draft.constant(draft.random.uniform(0.5, 2, 6)))


def a_relu(draft: Draft, x: str) -> str:
    return draft.node("Relu", x)


def a_bias_for_each_place(draft: Draft, x: str) -> str:
    return draft.node("Add", x, draft.weight(TOKENS, 6))


def one_number_for_all(draft: Draft, x: str) -> str:
    return draft.node("Add", x, draft.constant(0.5))


REFUSED = {
    "a_scale_for_each": (a_scale_for_each, "(Mul) treats each of them in its own way"),
    "a_relu": (a_relu, "(Relu) stands between"),
    "a_bias_for_each_place": (a_bias_for_each_place, "(Add) adds another bias at each place"),
    "one_number_for_all": (one_number_for_all, "(Add) treats each of them in its own way"),
}


@pytest.mark.parametrize("name", REFUSED)
@pytest.mark.parametrize("side", ["keys", "values"])
def test_what_needs_the_numbers_as_they_are_is_refused_with_the_reason(name: str, side: str) -> None:
    between, reason = REFUSED[name]
    model = attention_with(between if side == "keys" else as_it_is, between if side == "values" else as_it_is)

    found = found_in(model)

    assert len(found.heads) == len(found.refused) == 1
    assert "its numbers inside heads cannot be rotated" in next(iter(found.refused.values()))
    assert next(iter(found.refused.values())).endswith(reason)


def test_a_rotary_embedding_is_never_rotated() -> None:
    """Its halves are read one by one, so they are channels of another kind; the values may be rotated all the same."""
    found = found_in(attention_with(rotary, as_it_is))

    assert [head.mixes for one in found.heads.values() for head in one.heads] == [True]


@pytest.mark.parametrize(("weighing", "factor"), [("Softmax", ""), ("Sigmoid", ""), ("Softmax", "v"), ("Softmax", "z")])
def test_values_may_shift_only_where_they_come_through_as_they_are(weighing: str, factor: str) -> None:
    """Weights that sum to one, and no factor on the values or on what is mixed of them."""
    draft = Draft()
    x = tokens(draft)
    q, k, v = (draft.node("Add", draft.node("MatMul", x, draft.weight(WIDTH, 6)), draft.weight(6)) for _ in range(3))
    v = draft.node("Mul", v, draft.constant(0.5)) if factor == "v" else v
    weights = draft.node(weighing, draft.node("MatMul", q, draft.node("Transpose", k, perm=[0, 2, 1])))
    mixed = draft.node("MatMul", weights, v)
    mixed = draft.node("Div", mixed, draft.constant(0.5)) if factor == "z" else mixed
    said = draft.node("MatMul", mixed, draft.weight(6, WIDTH))
    model = ended(draft, draft.node("Add", said, draft.weight(WIDTH)))
    found = found_in(model)

    new = rotated(model, some_rotations(found))

    may = {head.may_shift for one in found.heads.values() for head in one.heads if head.mixes}
    assert may == {weighing == "Softmax" and not factor}
    assert relative_error(say(new), say(model)) < ROUNDING


@pytest.mark.parametrize("last", ["bhij,bhjd->bihd", "bhji,bhjd->bihd"])
def test_products_written_as_einsum(last: str) -> None:
    """Heads side by side stay where they were parted; the weights of the second are not those of its softmax's rows."""
    draft = Draft()
    x, four = tokens(draft), draft.constant([0, TOKENS, 3, 4], np.int64)
    q, k, v = (
        draft.node(
            "Reshape", draft.node("Add", draft.node("MatMul", x, draft.weight(WIDTH, 12)), draft.weight(12)), four
        )
        for _ in range(3)
    )
    weights = draft.node("Softmax", draft.node("Einsum", q, k, equation="bihd,bjhd->bhij"), axis=-1)
    v = draft.node("Transpose", v, perm=[0, 2, 1, 3])
    mixed = draft.node(
        "Reshape", draft.node("Einsum", weights, v, equation=last), draft.constant([0, TOKENS, 12], np.int64)
    )
    said = draft.node("Add", draft.node("MatMul", mixed, draft.weight(12, WIDTH)), draft.weight(WIDTH))
    model = ended(draft, said)
    found = found_in(model)

    new = rotated(model, some_rotations(found))

    assert [len(one.heads) for one in found.heads.values()] == [3, 3]
    assert {head.may_shift for one in found.heads.values() for head in one.heads if head.mixes} == {"ij" in last}
    assert relative_error(say(new), say(model)) < ROUNDING


def test_keys_that_are_values_too_are_refused() -> None:
    draft = Draft()
    x = tokens(draft)
    q, k = (draft.node("MatMul", x, draft.weight(WIDTH, 6)) for _ in range(2))
    scores = draft.node("Softmax", draft.node("MatMul", q, draft.node("Transpose", k, perm=[0, 2, 1])), axis=-1)
    x = draft.node("MatMul", draft.node("MatMul", scores, k), draft.weight(6, WIDTH))

    found = found_in(ended(draft, x))

    assert not found.heads
    assert [reason.rpartition(": ")[2] for reason in found.refused.values()] == [
        "some of them are read by two products, or are keys and values at once"
    ]


def test_channels_between_two_layers_are_no_numbers_of_heads() -> None:
    draft = Draft()
    x = draft.node("Relu", draft.conv("image", 3, 8))
    model = normalise(draft.model(draft.classify(draft.conv(x, 8, 8)), ("batch", 3, 8, 8)))

    assert found_in(model) == Found()
