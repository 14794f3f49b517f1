"""ONNX files in and out: what is sound comes back as it was, what is not is refused with a reason."""

from __future__ import annotations

import os
import pickle
import zipfile
from contextlib import suppress
from pathlib import Path

import numpy as np
import onnx
import onnx_ir as ir
import pytest
from onnx import TensorProto, numpy_helper

from engine.errors import ModelError, ModelUnreadable, ModelUnsafe
from engine.execution.runtime import open_session, run
from engine.formats import load, save
from tests.networks import NETWORKS, images, residual


def proto() -> onnx.ModelProto:
    return ir.to_proto(residual().ir)


def written(path: Path, model: onnx.ModelProto) -> Path:
    path.write_bytes(model.SerializeToString())
    return path


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "network.onnx"


@pytest.mark.parametrize("name", NETWORKS)
def test_load_after_save_equals_the_original(name: str, path: Path) -> None:
    model = NETWORKS[name][0]()
    inputs = images(model)

    save(model, path)
    loaded = load(path)

    assert loaded.to_bytes() == model.to_bytes()
    wanted, found = run(open_session(model), inputs), run(open_session(loaded), inputs)
    assert all(np.array_equal(found[output], values) for output, values in wanted.items())


def test_nodes_out_of_order_are_put_in_order(path: Path) -> None:
    model = proto()
    shuffled = list(reversed(model.graph.node))
    del model.graph.node[:]
    model.graph.node.extend(shuffled)

    loaded = load(written(path, model))

    assert next(iter(loaded.graph)).op_type == "Conv"
    run(open_session(loaded), images(loaded))


def test_weights_beside_the_file_are_read(path: Path) -> None:
    model = proto()
    onnx.save_model(model, path, save_as_external_data=True, location="weights.bin", size_threshold=0)

    loaded = load(path)

    assert path.with_name("weights.bin").stat().st_size > 0
    for tensor in proto().graph.initializer:
        assert np.array_equal(loaded.weight(tensor.name), numpy_helper.to_array(tensor))


# What is not an ONNX file at all.


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "empty"),
        (b"hello, this is a text file, not a network\n" * 20, "a text file"),
        (b"<!DOCTYPE html><html></html>", "text file"),
        (b'{"model": 1}', "JSON"),
        (b"\x89HDF\r\n\x1a\n" + b"\0" * 64, "HDF5"),
        (pickle.dumps({"weight": [1.0]}), "pickle"),
        (b"version https://git-lfs.github.com/spec/v1\n", "Git LFS"),
        (b"\0" * 100, "not ONNX|no nodes|no known kind"),
        (bytes(range(256)) * 8, "not ONNX|no known kind|ends too early"),
        (b"\x08\x08", "no nodes"),
    ],
    ids=["empty", "text", "html", "json", "hdf5", "pickle", "lfs", "zeros", "noise", "no-graph"],
)
def test_other_files_are_refused(path: Path, data: bytes, words: str) -> None:
    path.write_bytes(data)

    with pytest.raises(ModelUnreadable, match=words):
        load(path)


def test_sizes_of_minus_one_or_a_question_mark_are_open(path: Path) -> None:
    """As PaddlePaddle's exporter writes what it does not know; a shared name would say that height is width."""
    proto = onnx.load_model_from_string(residual().to_bytes())
    batch, _, height, width = proto.graph.input[0].type.tensor_type.shape.dim
    batch.dim_value = -1
    height.dim_param = width.dim_param = "?"
    path.write_bytes(proto.SerializeToString())

    assert load(path).inputs[0].shape == (None, 3, None, None)


def test_a_zip_is_refused(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("notes.txt", b"")

    with pytest.raises(ModelUnreadable, match="zip archive without a network"):
        load(path)


def test_a_missing_file_is_refused(path: Path) -> None:
    with pytest.raises(ModelUnreadable, match="cannot be read"):
        load(path)


@pytest.mark.parametrize("share", [0.02, 0.3, 0.7, 0.999])
def test_a_truncated_file_is_refused(path: Path, share: float) -> None:
    data = proto().SerializeToString()
    path.write_bytes(data[: int(len(data) * share)])

    with pytest.raises(ModelUnreadable, match=r"too early|truncated"):
        load(path)


# External data.


def external(location: str, **keys: str) -> onnx.ModelProto:
    model = proto()
    tensor = model.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    for key, value in {"location": location, **keys}.items():
        tensor.external_data.add(key=key, value=value)
    return model


@pytest.mark.parametrize(
    "location",
    [
        "/etc/passwd",
        "../weights.bin",
        "sub/weights.bin",
        "..",
        ".",
        "",
        "..\\weights.bin",
        "C:weights.bin",
        "a\0b",
        "C:\\w",
    ],
)
def test_external_data_anywhere_else_is_refused(path: Path, location: str) -> None:
    (path.parent / "weights.bin").write_bytes(b"\0" * 864)

    with pytest.raises(ModelUnsafe, match="not a plain file name"):
        load(written(path, external(location)))


def test_external_data_through_a_link_is_refused(path: Path) -> None:
    secret = path.parent / "secret"
    secret.write_bytes(b"\0" * 864)
    (path.parent / "soft").symlink_to(secret)
    os.link(secret, path.parent / "hard")

    for name in ("soft", "hard"):
        with pytest.raises(ModelUnsafe, match="is a link"):
            load(written(path, external(name)))


def test_external_data_that_did_not_come_is_named(path: Path) -> None:
    with pytest.raises(ModelUnreadable, match=r"'weights\.bin', which did not come"):
        load(written(path, external("weights.bin")))


@pytest.mark.parametrize(
    ("keys", "error", "words"),
    [
        ({"offset": "860", "length": "864"}, ModelUnreadable, "but it has 864"),
        ({"offset": "-1"}, ModelUnreadable, "not an offset"),
        ({"length": "1e9"}, ModelUnreadable, "not an offset or a length"),
        ({"length": "860"}, ModelUnreadable, "should hold 864 and holds 860"),
        ({"__class__": "x"}, ModelUnsafe, "unknown external-data keys"),
    ],
)
def test_external_data_of_the_wrong_extent_is_refused(
    path: Path, keys: dict[str, str], error: type[ModelError], words: str
) -> None:
    (path.parent / "weights.bin").write_bytes(b"\0" * 864)

    with pytest.raises(error, match=words):
        load(written(path, external("weights.bin", **keys)))


@pytest.mark.parametrize("seed", range(200))
def test_a_damaged_file_never_ends_in_anything_but_a_typed_error(path: Path, seed: int) -> None:
    """Flip a few bytes anywhere: the file loads, or is refused as a model is refused."""
    random = np.random.default_rng(seed)
    data = bytearray(proto().SerializeToString())
    for place in random.integers(0, len(data) if seed % 2 else 1500, 3):
        data[place] = random.integers(0, 256)
    path.write_bytes(data)

    with suppress(ModelError):
        load(path)
