"""The data ladder: few images get made ones of their own size beside them, and the report says how those were made."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np
import pytest

from engine.data import ladder
from engine.data.images import ImageSet
from engine.data.ladder import ENOUGH_IMAGES, PLENTY_IMAGES, climb
from engine.data.rungs import RUNGS, Rung
from engine.data.site import Said, Site
from engine.graph.model import Model, TensorInfo
from engine.graph.normalise import normalise
from engine.recipe import Preprocess
from tests.engine.data.conftest import MakeInput
from tests.engine.data.sites import CLASSES, WIDTH, answered, blank_site, nothing, site_of
from tests.networks import residual, residual_with_batch_norm, transformer

DRAWN = 40  # in place of the hundreds of a real job, which take their time


@pytest.fixture(autouse=True)
def draw_few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ladder, "DRAWN_IMAGES", DRAWN)


def some(count: int, *shape: int) -> ImageSet:
    inputs = np.random.default_rng(count).standard_normal((count, *shape), dtype=np.float32)
    return ImageSet(inputs, None, tuple(f"{index}.png" for index in range(count)))


def passing_answer(asked: ImageSet) -> Said:
    """Answer of any images what passes for photographs: even classes, features in many directions."""
    random = np.random.default_rng(len(asked))
    sure = np.full((len(asked), CLASSES), 0.1 / (CLASSES - 1))
    sure[np.arange(len(asked)), np.arange(len(asked)) % CLASSES] = 0.9
    return Said(sure, random.standard_normal((len(asked), WIDTH)))


def passing(model_input: TensorInfo) -> Site:
    return dataclasses.replace(blank_site(model_input, Preprocess()), ask=passing_answer)


@pytest.mark.parametrize("count", [1, 15])
@pytest.mark.parametrize(
    ("shape", "keys", "sizes"),
    [
        ((3, "h", "w"), {}, (3, 32, 48)),
        ((3, "h", "w"), {"resize": 24}, (3, 24, 40)),
        (("h", "w", 3), {"layout": "NHWC"}, (20, 28, 3)),
        (("c", 8, "w"), {}, (1, 8, 12)),
        ((3, 16, 16), {}, (3, 16, 16)),
    ],
)
def test_few_images_get_drawn_ones_of_their_own_size(
    count: int, shape: tuple[int | str, ...], keys: dict[str, object], sizes: tuple[int, ...], takes: MakeInput
) -> None:
    climbed = climb(some(count, *sizes), blank_site(takes(*shape), Preprocess.model_validate(keys)))

    parts, use = climbed.split, climbed.use
    assert (use.rung, use.source, use.synthesis) == (1, "mixed", "procedural")
    assert {part.inputs.shape[1:] for part in (parts.repair, parts.selection)} == {sizes}
    held_out = set(parts.test.names) | set(parts.selection.names)
    assert not held_out & set(parts.repair.names)
    assert use.check


def test_a_handful_of_real_images_is_seen_in_many_ways(takes: MakeInput) -> None:
    real = some(10, 3, 16, 16)

    repair = climb(real, blank_site(takes(3, 16, 16), Preprocess())).split.repair

    from_real = sum(name.endswith(".png") for name in repair.names)
    assert 0.25 <= from_real / len(repair) <= 0.75


@pytest.mark.parametrize("count", [ENOUGH_IMAGES, 60, PLENTY_IMAGES - 1])
def test_drawn_images_only_repair_beside_few_real_ones(count: int, takes: MakeInput) -> None:
    """Real images do all of the testing and choosing, and are seen at least as often as drawn ones."""
    real = some(count, 3, 16, 16)

    climbed = climb(real, passing(takes(3, 16, 16)))

    parts, use = climbed.split, climbed.use
    assert (use.rung, use.source, use.synthesis) == (1, "mixed", "procedural")
    assert use.made_images == DRAWN
    assert use.repair_images + use.selection_images + use.test_images == count + DRAWN
    assert set(parts.test.names) | set(parts.selection.names) < set(real.names)
    seen = sum(name in real.names for name in parts.repair.names)
    assert seen >= len(parts.repair) - seen == DRAWN
    assert not (set(parts.test.names) | set(parts.selection.names)) & set(parts.repair.names)


def test_the_network_is_asked_of_each_image_once(takes: MakeInput) -> None:
    """A large network takes seconds for a few hundred of them."""
    asked: list[str] = []

    def ask(images: ImageSet) -> Said:
        asked.extend(images.names)
        return answered(images)

    climb(some(40, 3, 8, 8), dataclasses.replace(blank_site(takes(3, 8, 8), Preprocess()), ask=ask))

    assert len(asked) == len(set(asked)) == 40 + DRAWN


def test_sixteen_images_repair_beside_four_drawn_ones_each(takes: MakeInput, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ladder, "DRAWN_IMAGES", 512)

    use = climb(some(16, 3, 8, 8), passing(takes(3, 8, 8))).use

    assert (use.made_images, use.repair_images) == (48, 60)  # 16 images: 2 test, 2 select, 12 repair


def test_many_images_get_no_more_drawn_ones_than_are_worth_their_time(
    takes: MakeInput, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ladder, "DRAWN_BESIDE_MOST", 36)

    climbed = climb(some(100, 3, 8, 8), passing(takes(3, 8, 8)))

    assert climbed.use.made_images == 36 < DRAWN
    assert len(climbed.split.repair) == 80 + 36


def ready_numbers(images: ImageSet) -> ImageSet:
    return dataclasses.replace(images, from_pixels=False)


@pytest.mark.parametrize(
    "images",
    [
        some(PLENTY_IMAGES, 3, 10, 14),
        ready_numbers(some(ENOUGH_IMAGES, 3, 10, 14)),
        some(ENOUGH_IMAGES, 4, 10, 14),
        some(ENOUGH_IMAGES, 30),
    ],
    ids=["plenty", "no pixels", "four channels", "rows"],
)
def test_plenty_of_images_and_what_is_no_picture_stay_among_themselves(images: ImageSet, takes: MakeInput) -> None:
    climbed = climb(images, passing(takes(*images.inputs.shape[1:])))

    use = climbed.use
    assert (use.rung, use.source, use.synthesis, use.made_images, use.check) == (0, "calibration", None, 0, ())
    assert use.repair_images + use.selection_images + use.test_images == len(images)
    assert set(climbed.split.repair.names) < set(images.names)


def test_drawn_images_that_fail_their_check_are_left_out(takes: MakeInput) -> None:
    """A network that takes every drawn image for the same one."""

    def ask(asked: ImageSet) -> Said:
        said = passing_answer(asked)
        return said if asked.names[0].endswith(".png") else Said(said.probabilities, np.zeros_like(said.features))

    site = dataclasses.replace(blank_site(takes(3, 8, 8), Preprocess()), ask=ask)
    climbed = climb(some(20, 3, 8, 8), site)

    assert (climbed.use.rung, climbed.use.source, climbed.use.made_images) == (0, "calibration", 0)
    assert climbed.use.repair_images == len(climbed.split.repair) == 16
    assert any("were not used beside" in note for note in climbed.use.notes)


def test_no_image_at_all_is_drawn_at_the_recipes_size(takes: MakeInput) -> None:
    climbed = climb(nothing(3, 8, 8), blank_site(takes(3, "h", "w"), Preprocess(crop=12)))

    assert (climbed.use.rung, climbed.use.source, climbed.use.test_images) == (1, "procedural", 0)
    assert climbed.split.repair.inputs.shape[1:] == (3, 12, 12)


def test_rarer_classes_come_repeatedly_and_the_user_is_told(takes: MakeInput) -> None:
    """Forty images of one class and two of each other one, as the network sees them."""
    images = some(46, 3, 8, 8)
    images.inputs[:, 0, 0, 0] = [0] * 40 + [1, 1, 2, 2, 3, 3]

    def ask(asked: ImageSet) -> Said:
        return Said(np.eye(CLASSES)[asked.inputs[:, 0, 0, 0].astype(int)], answered(asked).features)

    site = dataclasses.replace(blank_site(takes(3, 8, 8), Preprocess()), ask=ask)
    climbed = climb(images, site)

    classes = ask(climbed.split.repair).classes
    assert classes is not None
    counts = np.bincount(classes, minlength=CLASSES)
    assert counts[1:].sum() >= 10
    assert any("classes" in warning for warning in climbed.warnings)
    assert len(set(climbed.split.repair.names)) + climbed.use.selection_images + climbed.use.test_images == 46


@pytest.mark.parametrize(
    ("network", "device", "images", "expected"),
    [
        (residual, "cpu", 0, "procedural"),
        (residual, "cuda", 0, "procedural"),
        (residual, "cuda", 3, "inversion"),
        (residual_with_batch_norm, "cuda", 0, "inversion"),
        (transformer, "cuda", 0, "priors"),
    ],
)
def test_the_rung_follows_network_device_and_images(
    network: Callable[[], Model], device: str, images: int, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every rung is replaced by one that passes, so that none asks for a GPU."""
    asked: list[str] = []

    def standing_in(name: str) -> Rung:
        def make(site: Site, real: ImageSet, count: int) -> ImageSet:
            asked.append(name)
            return some(count, 3, 16, 16)

        return Rung(RUNGS[name].number, make)

    monkeypatch.setattr(ladder, "RUNGS", {name: standing_in(name) for name in RUNGS})
    monkeypatch.setattr(ladder, "check", lambda made, real: ())
    site = dataclasses.replace(site_of(normalise(network())), device=device, ask=answered)

    climbed = climb(some(images, 3, 16, 16), site)

    assert asked[0] == expected
    assert climbed.use.synthesis == expected


def test_what_fails_its_check_is_not_used_unless_asked_for(takes: MakeInput, monkeypatch: pytest.MonkeyPatch) -> None:
    def grey(site: Site, real: ImageSet, count: int) -> ImageSet:
        return ImageSet(np.zeros((count, 3, 16, 16), np.float32), None, ("grey",) * count)

    monkeypatch.setattr(ladder, "RUNGS", {**RUNGS, "inversion": Rung(2, grey)})
    site = dataclasses.replace(site_of(residual_with_batch_norm()), device="cuda", ask=answered)

    by_itself = climb(nothing(3, 16, 16), site)
    as_asked = climb(nothing(3, 16, 16), site, "inversion")

    assert (by_itself.use.rung, by_itself.use.synthesis) == (1, "procedural")
    assert any("inversion failed the check" in note for note in by_itself.use.notes)
    assert (as_asked.use.rung, as_asked.use.source) == (2, "inverted")
    assert any("failed their check" in warning for warning in as_asked.warnings)


def test_a_short_budget_draws_fewer_but_enough(takes: MakeInput) -> None:
    model_input, seconds = takes(3, "h", "w"), 0.1

    climbed = climb(nothing(3, 1, 1), blank_site(model_input, Preprocess(crop=20), seconds))

    assert climbed.use.repair_images + climbed.use.selection_images == 32
