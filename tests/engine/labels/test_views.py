"""Images are mirrored only where the network says that this leaves the label what it is."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from engine.data.images import ImageSet
from engine.graph.model import Model
from engine.labels.views import may_be_mirrored, seen_otherwise
from engine.recipe import Deploy
from tests.networks import Draft

HALVES = {"left or right": (slice(None), slice(8)), "above or below": (slice(8), slice(None))}


def asked(half: tuple[slice, slice], layout: str) -> tuple[Model, ImageSet]:
    """A network that scores a half of the image against the rest, and images that are bright in one or the other."""
    where = np.zeros((16, 16), np.float32)
    where[half] = 1
    labels = np.arange(20) % 2
    bright = np.stack([where, 1 - where])[labels]
    inputs = np.repeat(bright[:, None] if layout == "NCHW" else bright[..., None], 3, 1 if layout == "NCHW" else 3)
    weight = np.stack([np.repeat(part[None], 3, 0) for part in (where, 1 - where)])  # (2, 3, 16, 16)
    weight = weight if layout == "NCHW" else weight.transpose(0, 2, 3, 1)
    draft = Draft()
    flat = draft.node("Flatten", "image")
    scores = draft.node("Gemm", flat, draft.constant(weight.reshape(2, -1)), draft.constant([0, 0]), transB=1)
    shape = ("batch", 3, 16, 16) if layout == "NCHW" else ("batch", 16, 16, 3)
    return draft.model(scores, shape, ("batch", 2)), ImageSet(inputs, labels, tuple("abcdefghijklmnopqrst"))


@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
@pytest.mark.parametrize(("name", "expected"), [("left or right", False), ("above or below", True)])
def test_the_uncut_network_tells_whether_a_mirror_image_means_the_same(name: str, expected: bool, layout: str) -> None:
    model, images = asked(HALVES[name], layout)

    assert may_be_mirrored(model, images, layout, Deploy(threads=1)) is expected


@pytest.mark.parametrize("side", [8, 80])
def test_what_may_not_be_mirrored_never_is(side: int) -> None:
    """Brightness that rises from left to right rises in every view."""
    batch = torch.linspace(0, 1, side).expand(64, 1, side, side).contiguous()

    def rising(mirrored: bool) -> int:
        seen = seen_otherwise(batch, torch.Generator().manual_seed(0), "NCHW", mirrored)
        return int((seen[..., side // 2 :].mean(dim=(1, 2, 3)) > seen[..., : side // 2].mean(dim=(1, 2, 3))).sum())

    assert rising(mirrored=False) == 64
    assert 16 < rising(mirrored=True) < 48
