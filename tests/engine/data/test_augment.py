"""Augmented images are windows of the originals, and nothing is drawn that the seed does not decide."""

from __future__ import annotations

import pytest
import torch

from engine.data.augment import Mixing, augment


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_without_shift_an_image_is_itself_or_its_mirror() -> None:
    batch = torch.rand(64, 3, 5, 7, generator=seeded())

    found = augment(batch, seeded(), shift=0)

    same = (found == batch).flatten(1).all(dim=1)
    mirrored = (found == batch.flip(-1)).flatten(1).all(dim=1)
    assert bool((same ^ mirrored).all())
    assert 16 < int(mirrored.sum()) < 48


def test_a_shifted_image_keeps_its_middle() -> None:
    """Shifts of at most 2 pixels leave the inner 4 x 4 of an 8 x 8 image inside the window."""
    batch = torch.zeros(200, 1, 8, 8)
    batch[:, :, 3:5, 3:5] = 1

    found = augment(batch, seeded(), shift=0.25)

    assert found.shape == batch.shape
    assert bool((found.sum(dim=(1, 2, 3)) == 4).all())
    assert len({tuple(image.flatten().tolist()) for image in found}) == 25


def test_every_value_comes_from_the_same_image() -> None:
    batch = torch.arange(6.0)[:, None, None, None].expand(6, 2, 9, 9)

    assert torch.equal(augment(batch, seeded()), batch)


def test_the_seed_decides() -> None:
    batch = torch.rand(8, 3, 16, 16, generator=seeded())

    assert torch.equal(augment(batch, seeded(1)), augment(batch, seeded(1)))
    assert not torch.equal(augment(batch, seeded(1)), augment(batch, seeded(2)))


def test_layouts_agree() -> None:
    batch = torch.rand(8, 3, 16, 12, generator=seeded())

    last = augment(batch.permute(0, 2, 3, 1), seeded(), layout="NHWC")

    torch.testing.assert_close(last.permute(0, 3, 1, 2), augment(batch, seeded()), rtol=0, atol=0)


@pytest.mark.parametrize("shape", [(4, 10), (4, 10, 6)])
def test_what_is_no_picture_comes_back_as_it_is(shape: tuple[int, ...]) -> None:
    batch = torch.rand(shape, generator=seeded())

    assert torch.equal(augment(batch, seeded()), batch)


def test_an_image_of_one_pixel_survives() -> None:
    batch = torch.rand(3, 2, 1, 1, generator=seeded())

    assert torch.equal(augment(batch, seeded(), shift=0.5), batch)


LARGE = 64


def test_a_crop_of_a_large_image_shows_a_part_of_it_enlarged() -> None:
    """On an image that rises evenly from left to right, a crop rises evenly, more slowly, within the same range."""
    ramp = torch.linspace(0, 1, LARGE).expand(40, 3, LARGE, LARGE)

    found = augment(ramp, seeded())

    slopes = found.diff(dim=3)[:, :, 8:-8, 8:-8]  # away from the reflected border
    spread = slopes.flatten(1).std(dim=1) / slopes.flatten(1).mean(dim=1).abs()
    assert found.shape == ramp.shape
    assert bool((spread < 0.05).all())
    assert bool((slopes.abs().amax(dim=(1, 2, 3)) < 1.3 / LARGE).all())
    is_mirrored = slopes.mean(dim=(1, 2, 3)) < 0
    assert 8 < int(is_mirrored.sum()) < 32


def test_large_images_of_one_colour_keep_it() -> None:
    batch = torch.arange(4.0)[:, None, None, None].expand(4, 3, LARGE, LARGE)

    torch.testing.assert_close(augment(batch, seeded()), batch, rtol=1e-5, atol=1e-5)


def test_light_and_contrast_change_a_little() -> None:
    batch = torch.rand(16, 3, LARGE, LARGE, generator=seeded())

    found = augment(batch, seeded())

    changes = (found.mean(dim=(1, 2, 3)) - batch.mean(dim=(1, 2, 3))) / batch.std(dim=(1, 2, 3))
    assert bool((changes.abs() < 0.15).all())
    assert changes.abs().max() > 0.02


@pytest.mark.parametrize("mixing", ["cutmix", "mixup"])
@pytest.mark.parametrize("side", [8, LARGE])
def test_mixing_changes_about_half_of_the_images_and_adds_no_value(mixing: Mixing, side: int) -> None:
    batch = torch.arange(40.0)[:, None, None, None].expand(40, 1, side, side)

    found = augment(batch, seeded(), mixing=mixing)

    is_mixed = ((found - batch).abs() > 1e-3).flatten(1).any(dim=1)
    assert 8 <= int(is_mixed.sum()) <= 32
    assert found.min() >= -1e-3
    assert found.max() <= 39 + 1e-3
    kinds = [len(torch.unique(image.round(decimals=2))) for image in found[is_mixed]]
    assert set(kinds) == ({2} if mixing == "cutmix" else {1})


@pytest.mark.parametrize("mixing", ["none", "cutmix", "mixup"])
def test_layouts_of_large_images_agree(mixing: Mixing) -> None:
    batch = torch.rand(4, 3, LARGE, LARGE + 6, generator=seeded())

    last = augment(batch.permute(0, 2, 3, 1), seeded(), layout="NHWC", mixing=mixing)

    torch.testing.assert_close(last.permute(0, 3, 1, 2), augment(batch, seeded(), mixing=mixing))
