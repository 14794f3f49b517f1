"""ONNX files in and out: what is sound comes back as it was, what is not is refused with a reason."""

from __future__ import annotations

import os
import pickle
import zipfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np
import onnx
import onnx_ir as ir
import pytest
from onnx import TensorProto, helper, numpy_helper

from engine.errors import ModelError, ModelUnreadable, ModelUnsafe, OperatorUnsupported
from engine.execution.runtime import open_session, run
from engine.formats import load, save
from tests.networks import NETWORKS, images, residual

Change = Callable[[onnx.ModelProto], None]


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


# What is ONNX and may not come in. Each change breaks a sound network; the error names the culprit.


def add_node(op_type: str = "Relu", domain: str = "", **attributes: object) -> Change:
    def change(model: onnx.ModelProto) -> None:
        node = helper.make_node(op_type, ["image"], ["extra"], name="culprit", domain=domain, **attributes)
        model.graph.node.append(node)

    return change


def drop_weight(model: onnx.ModelProto) -> None:
    del model.graph.initializer[0]


def make_cycle(model: onnx.ModelProto) -> None:
    model.graph.node[0].input[0] = model.graph.node[3].output[0]


def repeat_weight(model: onnx.ModelProto) -> None:
    model.graph.initializer.append(model.graph.initializer[0])


def repeat_output(model: onnx.ModelProto) -> None:
    model.graph.node.append(helper.make_node("Relu", ["image"], [model.graph.node[0].output[0]]))


def repeat_input(model: onnx.ModelProto) -> None:
    model.graph.input.append(model.graph.input[0])


def name_a_value_after_a_weight(model: onnx.ModelProto) -> None:
    model.graph.node.append(helper.make_node("Relu", ["image"], [model.graph.initializer[0].name]))


def forget_output(model: onnx.ModelProto) -> None:
    model.graph.output[0].name = "nowhere"


def drop_outputs(model: onnx.ModelProto) -> None:
    del model.graph.output[:]


def shorten_weight(model: onnx.ModelProto) -> None:
    model.graph.initializer[0].raw_data = model.graph.initializer[0].raw_data[:-4]


def shorten_typed_weight(model: onnx.ModelProto) -> None:
    model.graph.initializer[0].CopyFrom(TensorProto(name="weight_0", data_type=1, dims=[8, 3, 3, 3], float_data=[1.0]))


def enlarge_weight(model: onnx.ModelProto) -> None:
    model.graph.initializer[0].dims[0] = 1 << 40


def overflow_weight(model: onnx.ModelProto) -> None:
    model.graph.initializer[0].CopyFrom(TensorProto(name="weight_0", data_type=1, dims=[1 << 62, 1 << 62, 4]))


def negate_weight(model: onnx.ModelProto) -> None:
    model.graph.initializer[0].dims[0] = -8


def unknown_type(model: onnx.ModelProto) -> None:
    model.graph.initializer[0].data_type = 99


def sparse_weight(model: onnx.ModelProto) -> None:
    model.graph.sparse_initializer.append(onnx.SparseTensorProto(dims=[4]))


def enlarge_input(model: onnx.ModelProto) -> None:
    for dim in model.graph.input[0].type.tensor_type.shape.dim:
        dim.dim_value = 100_000


def empty_input(model: onnx.ModelProto) -> None:
    model.graph.input[0].type.tensor_type.shape.dim[1].dim_value = 0


def unshape_input(model: onnx.ModelProto) -> None:
    model.graph.input[0].type.tensor_type.ClearField("shape")


def sequence_input(model: onnx.ModelProto) -> None:
    model.graph.input.append(helper.make_tensor_sequence_value_info("list", TensorProto.FLOAT, None))


def future_opset(model: onnx.ModelProto) -> None:
    model.opset_import[0].version = 9999


def two_opsets(model: onnx.ModelProto) -> None:
    model.opset_import.append(helper.make_opsetid("ai.onnx", 11))


def no_opset(model: onnx.ModelProto) -> None:
    del model.opset_import[:]


def wrong_attribute_type(model: onnx.ModelProto) -> None:
    node = next(node for node in model.graph.node if node.op_type == "Conv")
    group = next(attribute for attribute in node.attribute if attribute.name == "group")
    group.CopyFrom(helper.make_attribute("group", "two"))


def too_many_inputs(model: onnx.ModelProto) -> None:
    model.graph.node[1].input.extend(["image", "image"])


def local_function(model: onnx.ModelProto) -> None:
    node = helper.make_node("Relu", ["x"], ["y"])
    model.functions.append(helper.make_function("mine", "act", ["x"], ["y"], [node], model.opset_import))


def control_flow(model: onnx.ModelProto) -> None:
    value = helper.make_tensor_value_info("inner", TensorProto.FLOAT, None)
    branch = helper.make_graph([helper.make_node("Relu", ["image"], ["inner"])], "branch", [], [value])
    add_node("If", then_branch=branch, else_branch=branch)(model)


def too_many_nodes(model: onnx.ModelProto) -> None:
    model.graph.node.extend([onnx.NodeProto()] * 50_001)


def too_many_entries(model: onnx.ModelProto) -> None:
    model.metadata_props.extend([onnx.StringStringEntryProto()] * 1_000_001)


REFUSED: dict[str, tuple[Change, type[ModelError], str]] = {
    "custom domain": (
        add_node("FusedConv", "com.microsoft"),
        OperatorUnsupported,
        "'culprit'.*com.microsoft.FusedConv",
    ),
    "compiled engine": (add_node("EPContext", "com.microsoft"), OperatorUnsupported, "com.microsoft.EPContext"),
    "unknown operator": (
        add_node("NoSuchOperator"),
        OperatorUnsupported,
        "'culprit'.*no operator ai.onnx.NoSuchOperator",
    ),
    "operator of a later opset": (add_node("Swish"), OperatorUnsupported, "'culprit': opset 18 has no"),
    "missing weight": (drop_weight, ModelUnreadable, "reads 'weight_0', which nothing makes"),
    "cycle": (make_cycle, ModelUnreadable, "cycle"),
    "weight twice": (repeat_weight, ModelUnreadable, "'weight_0' is given to more than one"),
    "value twice": (repeat_output, ModelUnreadable, "'conv_0' is given to more than one"),
    "input twice": (repeat_input, ModelUnreadable, "'image' is given to more than one"),
    "value named as a weight": (name_a_value_after_a_weight, ModelUnreadable, "'weight_0' is given to more"),
    "unmade output": (forget_output, ModelUnreadable, "Nothing makes the output 'nowhere'"),
    "no output": (drop_outputs, ModelUnreadable, "no output"),
    "short weight": (shorten_weight, ModelUnreadable, "'weight_0'.*should hold 864 and holds 860"),
    "short typed weight": (shorten_typed_weight, ModelUnreadable, "'weight_0'.*should hold 216 and holds 1"),
    "huge weight": (enlarge_weight, ModelUnsafe, "'weight_0' announces"),
    "overflowing weight": (overflow_weight, ModelUnsafe, "'weight_0' announces"),
    "negative size": (negate_weight, ModelUnreadable, "'weight_0' has a negative size"),
    "unknown element type": (unknown_type, ModelUnreadable, "'weight_0' has no known element type"),
    "sparse weight": (sparse_weight, OperatorUnsupported, "sparse"),
    "huge input": (enlarge_input, ModelUnsafe, "'image' announces the sizes"),
    "empty input": (empty_input, ModelUnsafe, "'image' announces the sizes"),
    "input without a shape": (unshape_input, ModelUnreadable, "'image' has no shape"),
    "sequence input": (sequence_input, OperatorUnsupported, "'list' is a sequence_type"),
    "opset of the future": (future_opset, ModelUnreadable, "opset 9999"),
    "two opsets": (two_opsets, ModelUnreadable, "opset twice"),
    "no opset": (no_opset, ModelUnreadable, "names no opset"),
    "wrong attribute type": (wrong_attribute_type, ModelUnreadable, "breaks the ONNX standard.*group"),
    "too many inputs": (too_many_inputs, ModelUnreadable, "breaks the ONNX standard"),
    "local function": (local_function, OperatorUnsupported, "local functions"),
    "control flow": (control_flow, OperatorUnsupported, "'culprit': If holds a graph"),
    "too many nodes": (too_many_nodes, ModelUnsafe, "more than 50000 nodes"),
    "too many entries": (too_many_entries, ModelUnsafe, "more than 1000000 entries"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_broken_network_is_refused_by_name(name: str, path: Path) -> None:
    change, error, words = REFUSED[name]
    model = proto()
    change(model)

    with pytest.raises(error, match=words):
        load(written(path, model))


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
