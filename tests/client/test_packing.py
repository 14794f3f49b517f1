"""A folder of images becomes one file, the same one every time."""

from __future__ import annotations

import hashlib
import os
import zipfile
from pathlib import Path

import pytest

from client import UsageError
from client.packing import packed, packed_model


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "images"
    for name in ("cat/2.PNG", "cat/1.png", "dog/3.jpg", "notes.txt", ".cache/4.png"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(name.encode())
    return root


def test_a_folder_keeps_its_classes_and_leaves_out_what_is_no_image(folder: Path) -> None:
    with packed(folder) as archive, zipfile.ZipFile(archive) as found:
        assert found.namelist() == ["cat/1.png", "cat/2.PNG", "dog/3.jpg"]
        assert found.read("dog/3.jpg") == b"dog/3.jpg"
        assert archive.name == "images.zip"


def test_the_same_images_give_the_same_bytes_whatever_their_dates(folder: Path) -> None:
    with packed(folder) as archive:
        first = archive.read_bytes()
    os.utime(folder / "cat/1.png", (0, 0))

    with packed(folder) as archive:
        assert archive.read_bytes() == first
    assert not archive.exists()


def test_a_link_is_not_followed_out_of_the_folder(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "secret.png").write_bytes(b"secret")
    (folder / "link.png").symlink_to(tmp_path / "secret.png")

    with packed(folder) as archive, zipfile.ZipFile(archive) as found:
        assert "link.png" not in found.namelist()


def test_a_file_is_taken_as_it_is(folder: Path) -> None:
    with packed(folder / "notes.txt") as same:
        assert same == folder / "notes.txt"


def test_weights_beside_a_network_go_with_it(tmp_path: Path) -> None:
    (tmp_path / "net.onnx").write_bytes(b"graph")
    (tmp_path / "net.onnx.data").write_bytes(b"weights")

    with packed_model(tmp_path / "net.onnx") as archive, zipfile.ZipFile(archive) as found:
        assert archive.name == "net.zip"
        assert {name: found.read(name) for name in found.namelist()} == {
            "net.onnx": b"graph",
            "net.onnx.data": b"weights",
        }


def test_an_archive_is_the_same_bytes_on_every_day_and_machine(tmp_path: Path) -> None:
    """A manifest knows a network by them: what was packed years ago has to be packed the same again."""
    for name, content in {"net.onnx": b"graph", "net.onnx.data": b"weights"}.items():
        (tmp_path / name).write_bytes(content)
        (tmp_path / name).chmod(0o600)
        os.utime(tmp_path / name, (0, 0))

    with packed_model(tmp_path / "net.onnx") as archive:
        sha256 = hashlib.sha256(archive.read_bytes()).hexdigest()

    assert sha256 == "1c522ed5311144b94397cb110be3b7712ba859121fdba9f440d3e0a77d036b7f"


def test_a_network_in_one_file_is_taken_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "net.pth").write_bytes(b"weights")
    (tmp_path / "net.pth.data").write_bytes(b"notes")

    with packed_model(tmp_path / "net.pth") as same:
        assert same == tmp_path / "net.pth"


@pytest.mark.parametrize("name", ["absent", "empty"])
def test_nothing_to_pack_is_a_usage_error(tmp_path: Path, name: str) -> None:
    (tmp_path / "empty").mkdir()

    with pytest.raises(UsageError), packed(tmp_path / name):
        pass
