"""How sure a network is: whatever the contrast, and never of images that it tells nothing apart of."""

from __future__ import annotations

import numpy as np
import pytest

from engine.data.site import probabilities
from engine.data.sureness import Answer, by_margin, of_distances, of_scores, preferred, surer

COUNT, CLASSES = 32, 5


def answer(clearness: float, seed: int = 0) -> Answer:
    """Scores of noise, in which one class of each image stands out by so much."""
    random = np.random.default_rng(seed)
    scores = random.normal(0, 1, (COUNT, CLASSES))
    scores[np.arange(COUNT), random.integers(0, CLASSES, COUNT)] += clearness
    return of_scores(scores)


@pytest.mark.parametrize("contrast", [0.1, 3.0, 50.0])
def test_clarity_is_the_same_at_any_contrast_and_margins_grow_with_it(contrast: float) -> None:
    plain = answer(4.0)
    assert plain.scores is not None

    strong = of_scores(contrast * plain.scores + 7)

    np.testing.assert_allclose(strong.clarity, plain.clarity, rtol=1e-9)
    np.testing.assert_allclose(strong.margins, contrast * plain.margins, rtol=1e-9)
    assert surer(strong, plain) == pytest.approx(0, abs=1e-3)
    assert (surer(strong, plain, by_margin) > 0) == (contrast > 1)


def test_scores_and_their_probabilities_are_as_sure() -> None:
    plain = answer(2.0)
    assert plain.scores is not None

    np.testing.assert_allclose(of_scores(probabilities(plain.scores)).margins, plain.margins, rtol=1e-6)


@pytest.mark.parametrize("seed", range(5))
def test_the_clearest_way_is_preferred_and_only_where_it_is_clearer(seed: int) -> None:
    before, worse, better = (answer(clearness, seed) for clearness in (2.0, 0.5, 9.0))

    found, none = preferred(before, [worse, better]), preferred(better, [before, worse])

    assert (found.best, found.is_clear) == (1, True)
    assert not none.is_clear


def test_a_way_that_says_the_same_of_all_images_is_never_preferred() -> None:
    same = of_scores(np.tile([9.0, 0, 0, 0, 0], (COUNT, 1)))
    sure = answer(1.0)

    found = preferred(sure, [same])

    assert same.clarity.mean() > sure.clarity.mean()
    assert (found.best, found.is_clear) == (None, False)
    assert preferred(same, [sure]).is_clear


def test_the_nearer_to_the_norms_the_surer() -> None:
    near, far = of_distances(np.full(8, 0.1)), of_distances(np.linspace(1, 2, 8))

    assert surer(near, far) > 0
    assert (near.confidence, near.scores) == (None, None)
