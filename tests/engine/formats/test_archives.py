"""Zip archives out of uploads: told from one another by what is inside, and never trusted about where or how much."""

from __future__ import annotations

import io
import stat
import zipfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np
import onnx
import onnx_ir as ir
import pytest
from onnx import TensorProto

from engine.errors import ModelError, ModelUnreadable, ModelUnsafe
from engine.formats import archives, kinds, load
from engine.formats.checks import external
from tests.engine.formats.zips import rezipped
from tests.networks import residual


def parts() -> dict[str, bytes]:
    """Return a network whose first weight lies in `weights.bin`."""
    proto = ir.to_proto(residual().ir)
    tensor = proto.graph.initializer[0]
    data = tensor.raw_data
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="weights.bin")
    return {"model.onnx": proto.SerializeToString(), "weights.bin": data}


@pytest.mark.parametrize("folder", ["", "export/", "a/b/"])
@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_weights_beside_the_model_are_read(tmp_path: Path, folder: str, compression: int) -> None:
    members = {folder + name: content for name, content in parts().items()}

    found = load(rezipped(tmp_path / "upload", {**members, "__MACOSX/._model.onnx": b"litter"}, compression))

    assert np.array_equal(found.weight("weight_0"), residual().weight("weight_0"))


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"other.onnx": b""}, ModelUnreadable, r"model\.onnx, other\.onnx"),
        ({"weights.bin": None}, ModelUnreadable, r"'weights\.bin', which did not come"),
        ({"weights.bin": None, "sub/weights.bin": bytes(864)}, ModelUnreadable, "did not come"),
        ({"weights.bin": bytes(860)}, ModelUnreadable, "holds 860"),
        ({"../up.bin": b""}, ModelUnsafe, "points outside"),
        ({"/etc/passwd": b""}, ModelUnsafe, "points outside"),
        ({"a\\..\\b": b""}, ModelUnsafe, "points outside"),
        ({"c:evil": b""}, ModelUnsafe, "points outside"),
        ({"model.onnx": None}, ModelUnreadable, "without a network"),
        ({"model.onnx": b""}, ModelUnreadable, "no nodes"),
    ],
)
def test_an_archive_that_is_not_one_network_is_refused(
    tmp_path: Path, change: dict[str, bytes | None], error: type[ModelError], words: str
) -> None:
    members = {name: content for name, content in {**parts(), **change}.items() if content is not None}

    with pytest.raises(error, match=words):
        load(rezipped(tmp_path / "upload", members))


def entry(name: str, **changes: int) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name)
    for key, value in changes.items():
        setattr(info, key, value)
    return info


def test_a_link_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "upload", "w") as archive:
        archive.writestr("model.onnx", parts()["model.onnx"])
        archive.writestr(entry("weights.bin", external_attr=(stat.S_IFLNK | 0o777) << 16), "/etc/passwd")

    with pytest.raises(ModelUnsafe, match=r"'weights\.bin' is a link"):
        load(tmp_path / "upload")


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_two_members_of_one_name_are_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "upload", "w") as archive:
        for content in parts().values():
            archive.writestr("model.onnx", content)

    with pytest.raises(ModelUnsafe, match="two members of one name"):
        load(tmp_path / "upload")


def test_a_member_in_an_unusual_packing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelUnreadable, match="plain zip"):
        load(rezipped(tmp_path / "upload", parts(), zipfile.ZIP_LZMA))


def lie_about_size(data: bytes) -> bytes:
    """Announce four gigabytes less one for the first member, in both of its headers."""
    for mark, offset in ((b"PK\x03\x04", 22), (b"PK\x01\x02", 24)):
        at = data.index(mark) + offset
        data = data[:at] + b"\xfe\xff\xff\xff" + data[at + 4 :]
    return data


def damage(data: bytes) -> bytes:
    at = data.index(b"conv_0")
    return data[:at] + b"CONV_0" + data[at + 6 :]


def overlap(data: bytes) -> bytes:
    """Say that the first member has as many packed bytes as a hundred files: overlapping members do so."""
    at = data.index(b"PK\x01\x02") + 20
    return data[:at] + (100 * len(data)).to_bytes(4, "little") * 2 + data[at + 8 :]


def patched_data(data: bytes) -> bytes:
    """Say of the first member that it is a patch of another file."""
    return flagged(data, data.index(b"PK\x01\x02") + 8, 0x20)


def strongly_encrypted(data: bytes) -> bytes:
    return flagged(data, data.index(b"PK\x01\x02") + 8, 0x40)


def name_that_is_no_text(data: bytes) -> bytes:
    """Call the first member's name text of UTF-8 where its bytes are, and put a byte there that is none."""
    data = flagged(data, 7, 0x08)
    return data[:30] + b"\xff" + data[31:]


def flagged(data: bytes, at: int, flag: int) -> bytes:
    return data[:at] + bytes([data[at] | flag]) + data[at + 1 :]


@pytest.mark.parametrize(
    ("break_it", "words"),
    [
        (lie_about_size, "two sizes differ"),
        (damage, "is damaged"),
        (overlap, "they overlap"),
        (patched_data, "is damaged"),
        (strongly_encrypted, "is damaged"),
        (name_that_is_no_text, "is damaged"),
        (lambda data: data[: len(data) // 2], "truncated"),
        (lambda data: data[:-10], "truncated"),
    ],
)
def test_a_damaged_archive_is_refused(tmp_path: Path, break_it: Callable[[bytes], bytes], words: str) -> None:
    whole = rezipped(tmp_path / "whole", parts()).read_bytes()
    (tmp_path / "upload").write_bytes(break_it(whole))

    with pytest.raises(ModelError, match=words):
        load(tmp_path / "upload")


def test_a_bomb_is_refused_before_it_is_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "MOST_BYTES", 1 << 20)
    bomb = {**parts(), "zeros.bin": bytes(1 << 20)}

    with pytest.raises(ModelUnsafe, match=r"unpacks to \d+ bytes; at most 1048576"):
        load(rezipped(tmp_path / "upload", bomb, zipfile.ZIP_DEFLATED))


@pytest.mark.parametrize(
    ("bound", "words"), [("MOST_MEMBERS", "more than 1 members"), ("MOST_TABLE_BYTES", "table of")]
)
def test_an_archive_of_too_many_members_is_refused_at_its_table(
    tmp_path: Path, bound: str, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever only asks what a file is makes no entry for each of a million members either."""
    monkeypatch.setattr(archives, bound, 1)
    upload = rezipped(tmp_path / "upload", parts())

    for look in (kinds.sample, archives.Archive):
        with pytest.raises(ModelUnsafe, match=words):
            look(upload)


def test_the_same_bytes_for_many_tensors_are_counted_each_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    proto = onnx.load_model_from_string(parts()["model.onnx"])
    for number in range(10):
        proto.graph.initializer.add().CopyFrom(proto.graph.initializer[0])
        proto.graph.initializer[-1].name = f"again_{number}"
    monkeypatch.setattr(external, "MOST_BYTES", 5 * 864)

    with pytest.raises(ModelUnsafe, match="external weights together"):
        load(rezipped(tmp_path / "upload", {**parts(), "model.onnx": proto.SerializeToString()}))


@pytest.mark.parametrize("seed", range(60))
def test_a_broken_archive_never_ends_in_anything_but_a_typed_error(tmp_path: Path, seed: int) -> None:
    random = np.random.default_rng(seed)
    compression = zipfile.ZIP_DEFLATED if seed % 2 else zipfile.ZIP_STORED
    data = bytearray(rezipped(tmp_path / "whole", parts(), compression).read_bytes())
    for place in random.integers(len(data) - 300 if seed % 3 else 0, len(data), 3):
        data[place] = random.integers(0, 256)
    (tmp_path / "upload").write_bytes(data)

    with suppress(ModelError):
        load(tmp_path / "upload")


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (["m/constants.pkl", "m/data.pkl"], "TorchScript archive, which holds code"),
        (["saved_model.pb"], "tf2onnx"),
        (["config.json", "model.weights.h5"], "Keras"),
        (["images.npy"], "NumPy archive"),
        (["readme.txt"], "zip archive without a network"),
    ],
)
def test_other_archives_are_called_by_their_name(tmp_path: Path, names: list[str], words: str) -> None:
    with pytest.raises(ModelUnreadable, match=words):
        load(rezipped(tmp_path / "upload", dict.fromkeys(names, b"")))


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"GGUF\3\0\0\0", "GGUF"),
        (b"\x1c\0\0\0TFL3", "TensorFlow Lite"),
        (b"\x93NUMPY\1\0", "NumPy array"),
        (b"\x89PNG\r\n", "picture"),
        (b"7z\xbc\xaf\x27\x1c", "packed archive"),
        (io.BytesIO(b"ftrt\0\0\0\0").getvalue(), "TensorRT engine"),
    ],
)
def test_other_files_are_called_by_their_name(tmp_path: Path, data: bytes, words: str) -> None:
    (tmp_path / "upload").write_bytes(data + bytes(64))

    with pytest.raises(ModelUnreadable, match=words):
        load(tmp_path / "upload")
