"""Heads of torchvision's families, as an exporter writes them."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from engine.check import relative_error
from engine.formats.onnx import load
from engine.graph.channels.groups import find_groups
from engine.graph.folds import fold
from engine.graph.heads import find_heads, rotated
from engine.graph.merges import merge
from engine.graph.model import Model
from engine.graph.normalise import normalise
from tests.engine.graph.heads.test_heads import ROUNDING, say, some_rotations
from tests.families import export, make


def exported(family: str, opset: int, path: Path) -> Model:
    network, generator = make(family), torch.Generator().manual_seed(0)
    with torch.no_grad():  # rows of zeros are shared among layers
        for name, parameter in network.named_parameters():
            if "bias" in name and parameter.ndim == 1:
                parameter.copy_(torch.randn(parameter.shape, generator=generator) / 5)
    export(network, path, opset, traced=True)
    return merge(fold(normalise(load(path))))


@pytest.mark.parametrize(
    ("family", "opset", "heads"), [("vit", 14, [6, 6]), ("swin", 17, [4, 4, 8]), ("maxvit", 14, [2] * 4 + [4] * 4)]
)
def test_rotated_is_what_it_was(family: str, opset: int, heads: list[int], tmp_path: Path) -> None:
    """One group an attention, of pairs of queries and keys and of values and the layer behind; in MaxViT two groups."""
    model = exported(family, opset, tmp_path / "network.onnx")
    found = find_heads(model, find_groups(model).groups)

    new = rotated(model, some_rotations(found))

    assert not found.refused
    assert [len(one.heads) for one in found.heads.values()] == heads
    assert relative_error(say(new), say(model)) < ROUNDING


def test_cosine_attention_is_refused_for_its_norms(tmp_path: Path) -> None:
    model = exported("swin_v2", 14, tmp_path / "network.onnx")

    found = find_heads(model, find_groups(model).groups)

    assert not found.heads
    assert all(reason.endswith("(ReduceL2) stands between") for reason in found.refused.values())
    assert len(found.refused) == 4
