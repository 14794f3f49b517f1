"""The check of the executor against ONNX Runtime, on whatever inputs a network wants."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from engine.check import check, random_inputs, relative_error
from engine.formats.onnx import save
from tests.networks import NETWORKS, Draft


@pytest.mark.parametrize("name", NETWORKS)
def test_the_tiny_networks_agree(name: str, tmp_path: Path) -> None:
    save(NETWORKS[name][0](), tmp_path / "network.onnx")

    found = check(tmp_path / "network.onnx")

    assert found.relative_error <= 1e-5
    assert found.relative_error == max(found.relative_errors.values())


def test_open_sizes_are_chosen_and_integers_drawn() -> None:
    """Batch 2, three channels, 224 pixels a side; axes of one name agree."""
    draft = Draft()
    image = draft.model(draft.classify(draft.conv("image", 3, 8)), ("n", "c", "h", "w"))
    text = Draft()
    words = text.model(text.node("Cast", "image", to=1), ("n", "words"), ("n", "words"))
    words.graph.inputs[0].dtype = type(words.graph.inputs[0].dtype).INT64

    assert random_inputs(image, 0)["image"].shape == (2, 3, 224, 224)
    drawn = random_inputs(words, 0)["image"]
    assert (drawn.shape, drawn.dtype) == ((2, 16), np.int64)
    assert set(drawn.flatten().tolist()) == {0, 1}


def test_the_same_seed_draws_the_same() -> None:
    model = NETWORKS["residual"][0]()

    assert np.array_equal(random_inputs(model, 3)["image"], random_inputs(model, 3)["image"])
    assert not np.array_equal(random_inputs(model, 3)["image"], random_inputs(model, 4)["image"])


def test_the_error_is_relative_to_the_largest_value() -> None:
    wanted = np.array([1.0, -4.0])

    assert relative_error(wanted, wanted) == 0
    assert relative_error(np.array([1.0, -4.4]), wanted) == pytest.approx(0.1)
    assert relative_error(np.array([1.0, np.nan]), wanted) == float("inf")
    assert relative_error(np.array([1.0]), wanted) == float("inf")
