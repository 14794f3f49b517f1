"""The survey counts what is in a set, whatever container it comes in, and refuses what no job could read."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from engine.doctor.survey import survey
from engine.errors import CalibrationUnreadable
from tests.engine.doctor.conftest import Save, pictures, ready


def test_pictures_in_folders_are_counted_by_class(tmp_path: Path) -> None:
    for row, pixels in enumerate(pictures(12, seed=1)):
        folder = tmp_path / ("cat" if row < 8 else "dog")
        folder.mkdir(exist_ok=True)
        Image.fromarray(pixels if row else pixels[:10]).save(folder / f"{row:02}.png")

    found = survey(tmp_path)

    assert (found.images, found.looked_at, found.kind, found.dtype) == (12, 12, "pictures", "uint8")
    assert found.classes == {"cat": 8, "dog": 4}
    assert (found.smallest, found.largest) == ((10, 16, 3), (16, 16, 3))
    assert found.size_bytes == sum(file.stat().st_size for file in tmp_path.rglob("*.png"))


def test_arrays_tell_their_values_and_copies(save: Save) -> None:
    inputs = ready(pictures(20, seed=2))
    inputs[5] = inputs[4]

    found = survey(save(inputs))

    assert (found.kind, found.dtype, found.classes, found.copies) == ("float array", "float32", None, 1)
    assert found.value_range == (pytest.approx(inputs.min()), pytest.approx(inputs.max()))


def test_what_is_no_set_of_images_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "images.zip"
    path.write_bytes(b"no zip")

    with pytest.raises(CalibrationUnreadable):
        survey(path)
