"""The same images in any container are the same inputs; folders are labels; the drawn sample is fair."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from engine.data.calibration import load_images
from engine.errors import CalibrationMismatch
from engine.recipe import Preprocess
from tests.engine.data.conftest import Encode, MakeInput, WriteZip


def write_folder(root: Path, entries: dict[str, bytes]) -> Path:
    for name, content in entries.items():
        file = root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
    return root


def test_the_same_pixels_in_every_container_are_the_same_inputs(
    tmp_path: Path, encode: Encode, write_zip: WriteZip, takes: MakeInput
) -> None:
    pictures = {f"{index}.png": encode(seed=index) for index in range(5)}
    pixels = np.stack([np.asarray(Image.open(io.BytesIO(content))) for content in pictures.values()])
    folder = write_folder(tmp_path / "folder", pictures)
    np.savez_compressed(tmp_path / "a.npz", images=pixels)
    np.save(tmp_path / "a.npy", pixels.transpose(0, 3, 1, 2).copy())
    paths = [folder, write_zip(pictures), tmp_path / "a.npz", tmp_path / "a.npy"]

    sets = [load_images(path, takes(3, 8, 8), Preprocess(), seed=0) for path in paths]

    assert sets[0].inputs.shape == (5, 3, 8, 8)
    assert sets[0].inputs.dtype == np.float32
    for other in sets[1:]:
        np.testing.assert_array_equal(other.inputs, sets[0].inputs)
    assert all(each.from_pixels for each in sets)


def test_the_content_tells_the_container_not_the_name(tmp_path: Path, takes: MakeInput) -> None:
    path = tmp_path / "blob"
    with path.open("wb") as stream:
        np.savez(stream, x=np.zeros((2, 3, 8, 8), np.float32))

    assert len(load_images(path, takes(3, 8, 8), Preprocess(), seed=0)) == 2


def test_no_path_is_no_image(takes: MakeInput) -> None:
    images = load_images(None, takes(3, "h", "w"), Preprocess(crop=32), seed=0)

    assert len(images) == 0
    assert images.inputs.shape == (0, 3, 32, 32)


def test_floating_point_passes_as_it_is(tmp_path: Path, takes: MakeInput) -> None:
    ready = np.random.default_rng(0).standard_normal((4, 5)) * 1000
    np.savez(tmp_path / "a.npz", x=ready, y=np.array([1, 0, 1, 2], np.uint8), z=np.zeros(1))

    images = load_images(tmp_path / "a.npz", takes(5), Preprocess(), seed=0)

    np.testing.assert_array_equal(images.inputs, ready.astype(np.float32))
    assert images.labels is not None
    assert images.labels.tolist() == [1, 0, 1, 2]
    assert images.notes == ("ignored arrays: z",)
    assert not images.take(np.arange(2)).from_pixels


@pytest.mark.parametrize(
    ("names", "labels", "class_names"),
    [
        (["007/a.png", "012/b.png", "007/c.png"], [7, 12, 7], ("007", "012")),
        (["cat/a.png", "dog/b.png", "cat/c.png"], [0, 1, 0], ("cat", "dog")),
        (["train/cat/a.png", "train/dog/b.png"], [0, 1], ("cat", "dog")),
        (["5/a.png"], [5], ("5",)),
        (["images/a.png", "images/b.png"], None, ()),
        (["a.png", "cat/b.png"], None, ()),
        (["a.png", "b.png"], None, ()),
        (["cat/a.png", "cat/old/b.png"], None, ()),
    ],
)
def test_folders_are_labels_where_they_can_be(
    names: list[str],
    labels: list[int] | None,
    class_names: tuple[str, ...],
    tmp_path: Path,
    encode: Encode,
    write_zip: WriteZip,
    takes: MakeInput,
) -> None:
    pictures = {name: encode() for name in names}
    for path in (write_zip(pictures), write_folder(tmp_path / "folder", pictures)):
        images = load_images(path, takes(3, 8, 8), Preprocess(), seed=0)

        by_name = None if images.labels is None else dict(zip(images.names, images.labels.tolist(), strict=True))
        assert by_name == (None if labels is None else dict(zip(names, labels, strict=True)))
        assert images.class_names == class_names


def test_a_limit_draws_a_fair_seeded_sample(encode: Encode, write_zip: WriteZip, takes: MakeInput) -> None:
    path = write_zip({f"{label}/{index}.png": encode() for label in range(3) for index in range(20)})

    first, again, other = (load_images(path, takes(3, 8, 8), Preprocess(), seed=seed, limit=12) for seed in (1, 1, 2))

    assert first.names == again.names
    assert first.names != other.names
    assert first.labels is not None
    assert np.bincount(first.labels).tolist() == [4, 4, 4]
    assert "drew 12 of 60 images" in first.notes


def test_a_sample_decodes_only_what_it_drew(encode: Encode, write_zip: WriteZip, takes: MakeInput) -> None:
    """All but the drawn pictures are broken here, and that is not noticed."""
    names = [f"{index}.png" for index in range(20)]
    sound = load_images(write_zip({name: encode() for name in names}), takes(3, 8, 8), Preprocess(), seed=0, limit=3)
    path = write_zip({name: encode() if name in sound.names else b"broken" for name in names})

    images = load_images(path, takes(3, 8, 8), Preprocess(), seed=0, limit=3)

    assert images.names == sound.names


def test_files_that_are_no_pictures_are_ignored_and_counted(
    encode: Encode, write_zip: WriteZip, takes: MakeInput
) -> None:
    junk = {"README.md": b"hello", ".DS_Store": b"x", "__MACOSX/cat/._a.png": b"x", "cat/._a.png": b"x"}
    path = write_zip({"cat/a.png": encode(), "dog/b.PNG": encode(), **junk})

    images = load_images(path, takes(3, 8, 8), Preprocess(), seed=0)

    assert sorted(images.names) == ["cat/a.png", "dog/b.PNG"]
    assert images.class_names == ("cat", "dog")
    assert images.notes == ("ignored files that are not pictures: 2 (.png), 1 (.md), 1 (no suffix)",)


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "BMP"])
def test_every_picture_format_is_read(format: str, encode: Encode, write_zip: WriteZip, takes: MakeInput) -> None:
    path = write_zip({"a." + format.lower(): encode(format=format)})

    assert load_images(path, takes(3, 8, 8), Preprocess(), seed=0).inputs.shape == (1, 3, 8, 8)


def test_a_grey_picture_among_coloured_ones_is_repeated(encode: Encode, write_zip: WriteZip, takes: MakeInput) -> None:
    path = write_zip({"a.png": encode(), "b.png": encode(channels=1)})

    images = load_images(path, takes(3, 8, 8), Preprocess(mean=(0,), std=(1,)), seed=0)

    np.testing.assert_array_equal(images.inputs[1, 0], images.inputs[1, 2])
    assert images.notes == ("converted 1 of 2 pictures that are grey",)


@pytest.mark.parametrize(("pictures", "network", "order"), [(1, 3, "RGB"), (3, 1, "GRAY")])
def test_a_whole_set_of_the_wrong_kind_is_converted_only_on_request(
    pictures: int, network: int, order: str, encode: Encode, write_zip: WriteZip, takes: MakeInput
) -> None:
    path = write_zip({"a.png": encode(channels=pictures), "b.png": encode(channels=pictures)})
    asked = Preprocess.model_validate({"channel_order": order})

    with pytest.raises(CalibrationMismatch, match=f'"channel_order": "{order}"'):
        load_images(path, takes(network, 8, 8), Preprocess(), seed=0)

    assert load_images(path, takes(network, 8, 8), asked, seed=0).inputs.shape == (2, network, 8, 8)


@pytest.mark.parametrize(
    ("side", "want", "advice"),
    [(8, (3, 32, 32), '"resize": 32, "crop": 32'), (256, (3, 224, 224), '"resize": 256, "crop": 224')],
)
def test_pictures_of_the_wrong_size_name_the_keys_to_set(
    side: int, want: tuple[int, ...], advice: str, encode: Encode, write_zip: WriteZip, takes: MakeInput
) -> None:
    path = write_zip({"a.png": encode(side, side)})

    with pytest.raises(CalibrationMismatch) as caught:
        load_images(path, takes(*want), Preprocess(), seed=0)

    assert f"3 x {side} x {side}" in caught.value.message
    assert advice in caught.value.message
    assert caught.value.where == "a.png"


def test_pictures_must_agree_where_the_network_takes_any_size(
    encode: Encode, write_zip: WriteZip, takes: MakeInput
) -> None:
    path = write_zip({"a.png": encode(8, 8), "b.png": encode(8, 9)})

    with pytest.raises(CalibrationMismatch, match="all must agree"):
        load_images(path, takes(3, "h", "w"), Preprocess(), seed=0)


@pytest.mark.parametrize("count", [2, 20])
def test_photographs_of_several_forms_need_a_crop(
    count: int, encode: Encode, write_zip: WriteZip, takes: MakeInput
) -> None:
    """Resizing sets the shorter side alone: what is not square keeps its form."""
    path = write_zip({f"{index}.png": encode(8, 12 + 4 * (index % 2)) for index in range(count)})

    with pytest.raises(CalibrationMismatch, match=r'Set "preprocess": {"resize": 6, "crop": 6}'):
        load_images(path, takes(3, "h", "w"), Preprocess(resize=6), seed=0)
    images = load_images(path, takes(3, "h", "w"), Preprocess(resize=6, crop=6), seed=0)

    assert images.inputs.shape == (count, 3, 6, 6)


@pytest.mark.parametrize(
    ("array", "shape"),
    [
        (np.zeros((2, 8, 8), np.uint8), (3, 8, 8)),
        (np.zeros((2, 8, 8, 3), np.uint8), (1, 8, 8)),
        (np.zeros((2, 8, 8, 3), np.uint8), (4, 8, 8)),
        (np.zeros((2, 8, 8, 3), np.uint8), (64,)),
        (np.zeros((2, 8, 8), np.float32), (1, 8, 8)),
        (np.zeros((2, 63), np.float32), (64,)),
    ],
)
def test_arrays_must_fit_as_they_are(
    array: np.ndarray, shape: tuple[int, ...], tmp_path: Path, takes: MakeInput
) -> None:
    np.save(tmp_path / "a.npy", array)

    with pytest.raises(CalibrationMismatch, match="the network's input 'image' takes"):
        load_images(tmp_path / "a.npy", takes(*shape), Preprocess(), seed=0)
