"""Augmented images are windows of the originals, and nothing is drawn that the seed does not decide."""

from __future__ import annotations

import pytest
import torch

from engine.data.augment import augment


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
