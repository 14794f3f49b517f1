"""Every attention is found, however its heads are parted, scaled and masked; a gate that looks like one is not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from engine.formats.onnx import load
from engine.graph.idioms import Attention, find_attention
from engine.graph.normalise import normalise
from tests.families import export, make
from tests.networks import Draft, transformer

TOKENS, WIDTH = 16, 8


def draft_tokens(draft: Draft) -> str:
    flat = draft.node("Reshape", "image", draft.constant([0, 3, 256], np.int64))
    return draft.node("Reshape", flat, draft.constant([0, 96, WIDTH], np.int64))


def product(draft: Draft, x: str) -> str:
    return draft.node("MatMul", x, draft.weight(WIDTH, WIDTH))


def attention(draft: Draft, *, scale: str = "scores", mask: str = "", axis: int = -1) -> str:
    x = draft_tokens(draft)
    queries, keys, values = (product(draft, x) for _ in range(3))
    if scale == "both":
        queries, keys = (draft.node("Mul", side, draft.constant(0.6)) for side in (queries, keys))
    scores = draft.node("MatMul", queries, draft.node("Transpose", keys, perm=[0, 2, 1]))
    if scale == "scores":
        scores = draft.node("Div", scores, draft.constant(2.8))
    if mask == "Add":
        scores = draft.node("Add", scores, draft.weight(96, 96))
    if mask == "Where":
        kept = draft.constant(np.tri(96, dtype=bool), bool)
        scores = draft.node("Where", kept, scores, draft.constant(-1e4))
    return draft.node("MatMul", draft.node("Softmax", scores, axis=axis), values)


def find(draft: Draft, output: str) -> list[Attention]:
    return find_attention(normalise(draft.model(output, output_shape=("batch", 96, WIDTH))))


@pytest.mark.parametrize("scale", ["scores", "both", "none"])
@pytest.mark.parametrize("mask", ["", "Add", "Where"])
def test_scales_and_masks(scale: str, mask: str) -> None:
    draft = Draft()
    output = attention(draft, scale=scale, mask=mask)

    (found,) = find(draft, output)

    assert found.output == output
    assert (found.mask is not None) == bool(mask)
    assert {found.queries, found.keys, found.values} == {
        node.output[0] for node in draft.nodes if node.op_type == "MatMul" and node.input[1].startswith("weight")
    }


def test_in_a_transformer() -> None:
    (found,) = find_attention(normalise(transformer()))

    assert found.weights is not None


@pytest.mark.parametrize(
    ("family", "opset", "count"), [("vit", 14, 2), ("swin", 12, 3), ("swin_v2", 14, 4), ("maxvit", 14, 4)]
)
def test_in_what_exporters_write(family: str, opset: int, count: int, tmp_path: Path) -> None:
    """Packed queries, keys and values; windows with masks; cosine attention; Einsum in place of MatMul."""
    export(make(family), tmp_path / "network.onnx", opset, traced=True)

    found = find_attention(normalise(load(tmp_path / "network.onnx")))

    assert len(found) == count
    assert all(len({attention.queries, attention.keys, attention.values}) == 3 for attention in found)


def test_the_native_operator() -> None:
    draft = Draft(opset=23)
    x = draft_tokens(draft)
    sides = [product(draft, x) for _ in range(3)]
    output = draft.node("Attention", *sides, q_num_heads=2, kv_num_heads=2)

    (found,) = find(draft, output)

    assert (found.queries, found.keys, found.values, found.output) == (*sides, output)


def test_a_softmax_over_queries_is_none() -> None:
    draft = Draft()

    assert not find(draft, attention(draft, axis=1))


def test_scores_that_somebody_else_reads_are_left_alone() -> None:
    draft = Draft()
    output = attention(draft)
    scores = next(node.input[0] for node in draft.nodes if node.op_type == "Softmax")
    leak = draft.node("ReduceMean", scores)

    assert not find(draft, draft.node("Add", output, leak))


def test_a_mix_by_constant_scores_is_none() -> None:
    """Scores against learnt prototypes: there are no keys."""
    draft = Draft()
    x = draft_tokens(draft)
    weights = draft.node("Softmax", draft.node("MatMul", x, draft.weight(WIDTH, 96)), axis=-1)

    assert not find(draft, draft.node("MatMul", weights, product(draft, x)))
