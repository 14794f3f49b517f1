"""Whatever is sent as an image set, the answer is images or a typed error that says what was found; never a crash."""

from __future__ import annotations

import io
import stat
import struct
import warnings
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from engine.data.calibration import load_images
from engine.errors import CalibrationUnreadable
from engine.graph.model import TensorInfo
from engine.recipe import Preprocess
from tests.engine.data.conftest import Encode, WriteZip

INPUT = TensorInfo("image", "float32", ("batch", 3, 8, 8))


def refused(path: Path) -> str:
    with pytest.raises(CalibrationUnreadable) as caught:
        load_images(path, INPUT, Preprocess(), seed=0)
    return caught.value.message


def png_header(width: int, height: int, bit_depth: int = 8, colour: int = 2) -> bytes:
    """A PNG that promises pixels and has none."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", width, height, bit_depth, colour, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


def npy(shape: str, descr: str = "'|u1'", order: str = "False", content: bytes = b"", version: int = 1) -> bytes:
    header = f"{{'descr': {descr}, 'fortran_order': {order}, 'shape': {shape}, }}\n".encode()
    return b"\x93NUMPY" + bytes([version, 0]) + struct.pack("<H", len(header)) + header + content


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (b"", "is empty"),
        (b"hello there", "begins with b'hello '"),
        (b"PK\x03\x04 and then nothing of the sort", "not a complete zip"),
        (b"PK\x05\x06" + bytes(18), "found no file at all"),
    ],
)
def test_a_file_that_is_no_container(content: bytes, found: str, tmp_path: Path) -> None:
    path = tmp_path / "images.zip"
    path.write_bytes(content)

    assert found in refused(path)


def test_a_truncated_zip(encode: Encode, write_zip: WriteZip) -> None:
    path = write_zip({f"{index}.png": encode(seed=index) for index in range(9)})
    path.write_bytes(path.read_bytes()[:-200])

    assert "not a complete zip" in refused(path)


def test_no_file_at_all(tmp_path: Path) -> None:
    assert "cannot be opened" in refused(tmp_path / "nowhere")
    assert "found no file at all" in refused(tmp_path)


def test_a_set_without_pictures_says_what_it_found(write_zip: WriteZip) -> None:
    path = write_zip({"a.gif": b"GIF89a", "b.gif": b"GIF89a", "notes.txt": b"x"})

    assert "found 2 (.gif), 1 (.txt)" in refused(path)


@pytest.mark.parametrize("name", ["../a.png", "/a.png", "cat/../../a.png", "..\\a.png", "C:a.png"])
def test_an_entry_that_climbs_out(name: str, encode: Encode, write_zip: WriteZip) -> None:
    assert "points out of the archive" in refused(write_zip({name: encode()}))


def test_an_archive_in_the_archive(encode: Encode, write_zip: WriteZip) -> None:
    assert "archive inside the archive" in refused(write_zip({"a.png": encode(), "b.tar": b"x"}))


def test_a_link_in_the_archive(tmp_path: Path) -> None:
    link = zipfile.ZipInfo("a.png")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr(link, "/etc/passwd")

    assert "a link or a device" in refused(tmp_path / "a.zip")


def test_links_in_a_folder_are_not_followed(tmp_path: Path, encode: Encode) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "a.png").write_bytes(encode())
    inside = tmp_path / "inside"
    inside.mkdir()
    (inside / "link.png").symlink_to(outside / "a.png")
    (inside / "folder").symlink_to(outside)

    assert "found no file at all" in refused(inside)


def test_two_entries_of_one_name(tmp_path: Path, encode: Encode) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        archive.writestr("a.png", encode())
        archive.writestr("a.png", encode(seed=1))

    assert "two entries of the same name" in refused(tmp_path / "a.zip")


def test_an_encrypted_entry(encode: Encode, write_zip: WriteZip) -> None:
    path = write_zip({"a.png": encode()})
    content = bytearray(path.read_bytes())
    content[content.index(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(content)

    assert "is encrypted" in refused(path)


def test_a_zip_bomb(encode: Encode, write_zip: WriteZip) -> None:
    assert "200 times" in refused(write_zip({"a.png": encode(), "b.png": bytes(8 * 2**20)}))


def test_an_entry_that_lies_about_its_size(encode: Encode, write_zip: WriteZip) -> None:
    path = write_zip({"a.png": encode(), "b.png": encode(seed=1)})
    content = bytearray(path.read_bytes())
    directory = content.index(b"PK\x01\x02")
    content[directory + 24 : directory + 28] = struct.pack("<I", 50)
    path.write_bytes(content)

    assert "'a.png' cannot be" in refused(path)


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (png_header(8_000, 8_000), "has 8000 x 8000 pixels"),
        (png_header(60_000, 60_000), "exceeds limit"),
        (png_header(8, 8), "cannot be decoded"),
        (png_header(8, 8, bit_depth=16, colour=0), "stores its pixels as I;16"),
        (b"GIF89a" + bytes(40), "cannot be decoded"),
        (b"\xff\xd8\xff\xe0", "cannot be decoded"),
        (b"", "cannot be decoded"),
    ],
)
def test_a_hostile_picture(content: bytes, found: str, tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(content)

    message = refused(tmp_path)

    assert found in message
    assert "'a.png'" in message


def test_every_cut_of_a_picture_is_read_or_refused(tmp_path: Path, encode: Encode) -> None:
    for format in ("JPEG", "PNG", "WEBP", "BMP"):
        whole = encode(format=format)
        for size in range(0, len(whole) - 1, 7):
            (tmp_path / "a.png").write_bytes(whole[:size])
            try:
                images = load_images(tmp_path, INPUT, Preprocess(), seed=0)
            except CalibrationUnreadable:
                continue
            assert images.inputs.shape == (1, 3, 8, 8)  # a decoder may do without the last bytes


def pickled() -> bytes:
    stream = io.BytesIO()
    np.save(stream, np.array([{"a": 1}], dtype=object), allow_pickle=True)
    return stream.getvalue()


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (npy("(1000, 8192, 8192, 1)"), "promises shape (1000, 8192, 8192, 1)"),
        (npy("(2, 8, 8, 3)", content=bytes(383)), "promises shape"),
        (npy("(2, 8, 8, 3)", content=bytes(385)), "promises shape"),
        (npy("(-2, -192)", content=bytes(384)), "promises shape"),
        (npy("(2, 8, 8, 3)", order="True", content=bytes(384)), "Fortran order"),
        (npy("(0, 8, 8, 3)"), "no image at all"),
        (npy("()", content=b"x"), "has shape ()"),
        (npy("(4,)", descr="'<f4'", content=bytes(16)), "has shape (4,)"),
        (npy("(2, 8)", descr="'<i8'", content=bytes(128)), "Save pixels as uint8"),
        (npy("(2, 8)", descr="'<U4'", content=bytes(256)), "never pickled objects"),
        (npy("(2,)", descr="[('a', '<f4'), ('b', '<f4')]", content=bytes(16)), "never pickled objects"),
        (npy("(2, 8, 8, 3)", descr="__import__('os').getcwd()"), "no readable .npy header"),
        (npy("(2, 8, 8, 3)", content=bytes(384), version=3), "no readable .npy header"),
        (npy("(2, " + "8, " * 9000 + ")"), "no readable .npy header"),
        (b"\x93NUMPY", "no readable .npy header"),
        (b"\x93NUMPY\x01\x00\xff\xff{", "no readable .npy header"),
        (pickled(), "never pickled objects"),
    ],
)
def test_a_hostile_array(content: bytes, found: str, tmp_path: Path, write_zip: WriteZip) -> None:
    (tmp_path / "a.npy").write_bytes(content)

    assert found in refused(tmp_path / "a.npy")
    assert found in refused(write_zip({"images.npy": content}))


@pytest.mark.parametrize(
    ("arrays", "found"),
    [
        ({"a": np.zeros((2, 3, 8, 8), np.uint8), "b": np.zeros(2)}, "none is called images or x"),
        ({"labels": np.zeros(2, np.int64), "z": np.zeros(2)}, "none is called images or x"),
        ({"x": np.zeros((2, 3, 8, 8), np.uint8), "y": np.zeros(3, np.int64)}, "2 images and 3 labels"),
        ({"x": np.zeros((2, 3, 8, 8), np.uint8), "y": np.zeros(2)}, "labels are one integer an image"),
        ({"x": np.zeros((2, 3, 8, 8), np.uint8), "y": np.zeros((2, 1), np.int64)}, "labels are one integer an image"),
        ({"x": np.zeros((2, 3, 8, 8), np.uint8), "y": np.array([0, -1])}, "labels below 0"),
        ({"x": np.full((2, 3, 8, 8), np.nan, np.float32)}, "not finite"),
        ({"x": np.full((2, 3, 8, 8), 1e300)}, "not finite"),
    ],
)
def test_arrays_that_cannot_be_images_and_labels(arrays: dict[str, np.ndarray], found: str, tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", **arrays)

    assert found in refused(tmp_path / "a.npz")


def test_a_broken_entry_of_an_npz(tmp_path: Path) -> None:
    np.savez_compressed(tmp_path / "a.npz", x=np.random.default_rng(0).random((9, 3, 8, 8), np.float32))
    content = bytearray((tmp_path / "a.npz").read_bytes())
    middle = len(content) // 2
    content[middle : middle + 64] = bytes(64)
    (tmp_path / "a.npz").write_bytes(content)

    assert "'x' cannot be unpacked" in refused(tmp_path / "a.npz")


def corruptions(whole: bytes) -> list[bytes]:
    generator = np.random.default_rng(0)
    broken = []
    for _ in range(150):
        content = bytearray(whole)
        for position in generator.integers(len(whole), size=3):
            content[position] = int(generator.integers(256))
        broken.append(bytes(content))
    return broken


@pytest.mark.parametrize("kind", ["zip", "npz", "npy"])
def test_no_corruption_escapes_the_error_tree(kind: str, tmp_path: Path, encode: Encode, write_zip: WriteZip) -> None:
    array = np.random.default_rng(0).integers(0, 255, (2, 3, 8, 8), np.uint8)
    make: dict[str, Callable[[], Path]] = {
        "zip": lambda: write_zip({"cat/a.jpg": encode(format="JPEG"), "dog/b.png": encode()}),
        "npz": lambda: tmp_path / "a.npz",
        "npy": lambda: tmp_path / "a.npy",
    }
    np.savez_compressed(tmp_path / "a.npz", images=array, labels=np.array([0, 1]))
    np.save(tmp_path / "a.npy", array)
    outcomes = set()

    for content in corruptions(make[kind]().read_bytes()):
        path = tmp_path / "broken"
        path.write_bytes(content)
        try:
            load_images(path, INPUT, Preprocess(), seed=0)
            outcomes.add("read")
        except Exception as error:  # told apart below
            outcomes.add(type(error).__name__)

    assert outcomes <= {"read", "CalibrationUnreadable", "CalibrationMismatch"}
    assert "CalibrationUnreadable" in outcomes
