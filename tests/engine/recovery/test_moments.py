"""Second moments are those of all rows, whichever batches these came in and however long some had to wait."""

from __future__ import annotations

import numpy as np
import pytest

from engine.graph.holes import find_holes
from engine.graph.normalise import normalise
from engine.graph.surgery import remove_units
from engine.graph.units import blocks, find_units
from engine.recipe import Deploy
from engine.recovery import frontier as frontier_module
from engine.recovery import rows as rows_module
from engine.recovery.frontier import Frontier, batch_for
from engine.recovery.moments import moments_at
from engine.recovery.questions import at_holes
from engine.recovery.rows import rows_of
from tests.engine.methods.test_practise import some_images
from tests.networks import NETWORKS

COMPUTE = Deploy(threads=1)
ALL_OF_THEM = 10_000


@pytest.mark.parametrize("name", ["residual", "residual_of_one", "transformer", "plain"])
@pytest.mark.parametrize("batch", [1, 3, 11])
def test_the_batch_is_of_no_matter(name: str, batch: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every place of every image is a row, so that nothing is left to the draw."""
    monkeypatch.setattr(rows_module, "rows_per_image", lambda numbers: ALL_OF_THEM)
    model = normalise(NETWORKS[name][0]())
    unit = blocks(find_units(model))[0]
    cut = remove_units(model, [unit])
    layers = [rows_of(cut, question) for question in at_holes(model, cut, find_holes(model, [unit]))]
    sets = [some_images(model, 11), some_images(model, 4, seed=5)]
    assert layers

    def gathered(size: int) -> list[np.ndarray]:
        given, wished = (Frontier(each, sets, COMPUTE, size) for each in (cut, model))
        found = moments_at(given, wished, layers, len(sets), seed=0)
        return [array for of_set in found for one in of_set for array in (one.gram, one.cross, np.array(one.power))]

    for found, right in zip(gathered(batch), gathered(32), strict=True):
        np.testing.assert_allclose(found, right, rtol=1e-5, atol=1e-6 * np.abs(right).max())


def test_so_many_images_go_together_as_keep_all_values_small(monkeypatch: pytest.MonkeyPatch) -> None:
    model = normalise(NETWORKS["residual"][0]())
    shapes = [value.shape for node in model.graph for value in node.outputs]
    bytes_of_one = 4 * sum(int(np.prod(list(shape)[1:])) for shape in shapes if shape is not None)

    for images in (1, 3, 7):
        monkeypatch.setattr(frontier_module, "VALUES_BYTES_MAX", images * bytes_of_one)
        assert batch_for(model, together=True) == images
    monkeypatch.setattr(frontier_module, "VALUES_BYTES_MAX", 1)
    assert batch_for(model, together=True) == 1
