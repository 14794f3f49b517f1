"""Images are spent as the budget of work allows: all of them, or fewer that are spread over all."""

from __future__ import annotations

import numpy as np
import pytest

from engine.data.images import ImageSet
from engine.graph.features import find_features
from engine.graph.holes import features_after, find_holes
from engine.graph.normalise import normalise
from engine.graph.surgery import remove_units
from engine.graph.units import blocks, find_units
from engine.recovery.effort import IMAGES_MIN, affordable, work_per_image
from engine.recovery.questions import questions
from tests.networks import CHANNELS, NETWORKS, images


@pytest.mark.parametrize(("allowed", "taken"), [(1000, 60), (30, 30), (1, IMAGES_MIN)])
def test_as_many_images_as_the_work_allows(allowed: int, taken: int) -> None:
    model = normalise(NETWORKS["residual"][0]())
    units = blocks(find_units(model))[:1]
    cut = remove_units(model, units)
    wanted = features_after(model, units, find_features(model)).values
    asked = questions(model, cut, find_holes(model, units), wanted)
    (inputs,) = images(model, batch=60).values()
    shown = ImageSet(inputs.astype(np.float32), None, tuple(str(i) for i in range(60)))
    work = work_per_image(model, cut, asked, shown)

    found = affordable(model, cut, asked, shown, work_max=allowed * work * 1.001)

    assert len(found) == taken
    assert (found.names[0], found.names[-1]) == ("0", "59")
    # both networks have at most eight layers of 8 channels on 16 x 16 places, with 9 * 8 unknowns a channel
    moments = len(asked) * (9 * CHANNELS) ** 2 * 96
    assert moments < work < moments + 2 * 8 * 16 * 16 * 9 * CHANNELS**2
