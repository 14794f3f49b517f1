"""Broken and hostile ONNX graphs: each is refused as what it is, by the name of the node or value that is at fault."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnx_ir as ir
import pytest
from onnx import TensorProto, helper, numpy_helper

from engine.errors import ModelError, ModelUnreadable, ModelUnsafe, OperatorUnsupported
from engine.formats import load
from tests.networks import Draft, images

Change = Callable[[onnx.ModelProto], None]
FLOAT, INT64 = TensorProto.FLOAT, TensorProto.INT64

ORDER = ("conv", "norm", "relu", "grouped", "pool", "resize", "concat", "turn", "product", "add", "reshape", "gemm")


def busy() -> onnx.ModelProto:
    """Return a sound network in which most kinds of nodes occur, named as in ORDER; each change below breaks it."""
    draft = Draft()
    normed = draft.batch_norm(draft.conv("image", 3, 8), 8)
    grouped = draft.conv(draft.node("Relu", normed), 8, 8, group=4)
    pooled = draft.node("MaxPool", grouped, kernel_shape=[2, 2], strides=[2, 2])
    resized = draft.node("Resize", pooled, "", draft.constant([1, 1, 0.5, 0.5]), mode="nearest")
    turned = draft.node("Transpose", draft.node("Concat", resized, resized, axis=1), perm=[0, 2, 3, 1])
    product = draft.node("Add", draft.node("MatMul", turned, draft.weight(16, 4)), draft.weight(4))
    flat = draft.node("Reshape", product, draft.constant([-1, 64], np.int64))
    model = ir.to_proto(draft.model(draft.node("Gemm", flat, draft.weight(64, 5), draft.weight(5))).ir)
    for node, name in zip(model.graph.node, ORDER, strict=True):
        node.name = name
    return model


def node(model: onnx.ModelProto, name: str) -> onnx.NodeProto:
    return next(found for found in model.graph.node if found.name == name)


def stored(model: onnx.ModelProto, name: str, index: int) -> onnx.TensorProto:
    """Return the tensor that a node reads as its input of that index."""
    wanted = node(model, name).input[index]
    return next(tensor for tensor in model.graph.initializer if tensor.name == wanted)


def attribute(name: str, key: str, value: object) -> Change:
    """Set one attribute of a node."""

    def change(model: onnx.ModelProto) -> None:
        found = node(model, name)
        kept = [entry for entry in found.attribute if entry.name != key]
        del found.attribute[:]
        found.attribute.extend([*kept, helper.make_attribute(key, value)])

    return change


def without(name: str, key: str) -> Change:
    def change(model: onnx.ModelProto) -> None:
        found = node(model, name)
        kept = [entry for entry in found.attribute if entry.name != key]
        del found.attribute[:]
        found.attribute.extend(kept)

    return change


def weight(name: str, index: int, values: object, dtype: type = np.float32) -> Change:
    """Give a node other numbers to read."""

    def change(model: onnx.ModelProto) -> None:
        tensor = stored(model, name, index)
        tensor.CopyFrom(numpy_helper.from_array(np.asarray(values, dtype), tensor.name))

    return change


def reads(name: str, index: int, value: str) -> Change:
    def change(model: onnx.ModelProto) -> None:
        node(model, name).input[index] = value

    return change


def tensor(edit: Callable[[onnx.TensorProto], None]) -> Change:
    """Damage the weights of the first convolution."""
    return lambda model: edit(stored(model, "conv", 1))


def added(op_type: str = "Relu", domain: str = "", reads: tuple[str, ...] = ("image",), **attributes: object) -> Change:
    def change(model: onnx.ModelProto) -> None:
        model.graph.node.append(
            helper.make_node(op_type, reads, ["extra"], name="culprit", domain=domain, **attributes)
        )

    return change


def shape(edit: Callable[[onnx.TensorShapeProto], None]) -> Change:
    return lambda model: edit(model.graph.input[0].type.tensor_type.shape)


def graph_in_a_node(model: onnx.ModelProto) -> None:
    value = helper.make_tensor_value_info("inner", FLOAT, None)
    branch = helper.make_graph([helper.make_node("Relu", ["nowhere"], ["inner"])], "branch", [], [value])
    added("If", then_branch=branch, else_branch=branch)(model)


def branching(*nodes: onnx.NodeProto, weight: onnx.TensorProto | None = None, output: str = "inner") -> Change:
    """Add an If both of whose branches are these nodes."""
    value = helper.make_tensor_value_info(output, FLOAT, None)
    branch = helper.make_graph(nodes, "branch", [], [value], [weight] if weight is not None else [])

    def change(model: onnx.ModelProto) -> None:
        model.graph.initializer.append(numpy_helper.from_array(np.asarray(True), "yes"))
        added("If", reads=("yes",), then_branch=branch, else_branch=branch)(model)

    return change


def inner(op_type: str, *reads: str, domain: str = "", **attributes: object) -> onnx.NodeProto:
    return helper.make_node(op_type, reads, ["inner"], name="within", domain=domain, **attributes)


def looping(model: onnx.ModelProto) -> None:
    """A body that is given fewer values than the node has states."""
    value = helper.make_tensor_value_info("inner", FLOAT, None)
    body = helper.make_graph([inner("Relu", "image")], "body", [], [value])
    added("Loop", reads=("", "", "image"), body=body)(model)


def graphs_in_graphs(model: onnx.ModelProto) -> None:
    """Nest deeper than any reader would follow."""
    value = helper.make_tensor_value_info("inner", FLOAT, None)
    inner = helper.make_graph([helper.make_node("Relu", ["image"], ["inner"])], "branch", [], [value])
    for _ in range(20):
        holds = helper.make_node(
            "If", ["image"], ["inner"], "culprit", then_branch=inner, else_branch=helper.make_graph([], "e", [], [])
        )
        inner = helper.make_graph([holds], "branch", [], [value])
    added("If", then_branch=inner, else_branch=inner)(model)


def sparse_constant(model: onnx.ModelProto) -> None:
    values, indices = numpy_helper.from_array(np.ones(1, np.float32)), numpy_helper.from_array(np.zeros(1, np.int64))
    sparse = helper.make_sparse_tensor(values, indices, [4])
    model.graph.node.append(helper.make_node("Constant", [], ["extra"], name="culprit", sparse_value=sparse))


def local_function(model: onnx.ModelProto) -> None:
    inner = helper.make_node("Relu", ["x"], ["y"])
    model.functions.append(helper.make_function("mine", "act", ["x"], ["y"], [inner], model.opset_import))


def reference_to_a_function(model: onnx.ModelProto) -> None:
    model.graph.node[0].attribute.add(name="group", type=onnx.AttributeProto.INT, ref_attr_name="groups")
    model.graph.node[0].attribute.remove(model.graph.node[0].attribute[0])


def training_graph(model: onnx.ModelProto) -> None:
    model.training_info.add().algorithm.name = "step"


def other_value(make: Callable[..., onnx.ValueInfoProto], *arguments: object) -> Change:
    return lambda model: model.graph.input.append(make("odd", *arguments))


def optional_input(model: onnx.ModelProto) -> None:
    model.graph.input.append(
        helper.make_value_info("odd", helper.make_optional_type_proto(helper.make_tensor_type_proto(1, [1])))
    )


def noted_as_a_sequence(model: onnx.ModelProto) -> None:
    value = helper.make_tensor_sequence_value_info(node(model, "conv").output[0], FLOAT, None)
    del model.graph.value_info[:]
    model.graph.value_info.append(value)


def cut_short(found: onnx.TensorProto) -> None:
    found.raw_data = found.raw_data[:-4]


def typed_and_short(found: onnx.TensorProto) -> None:
    found.CopyFrom(TensorProto(name=found.name, data_type=FLOAT, dims=[8, 3, 3, 3], float_data=[1.0]))


def overflowing(found: onnx.TensorProto) -> None:
    found.CopyFrom(TensorProto(name=found.name, data_type=FLOAT, dims=[1 << 62, 1 << 62, 4]))


def segmented(found: onnx.TensorProto) -> None:
    found.segment.begin, found.segment.end = 0, 4


def set_dim(index: int, size: int) -> Change:
    return tensor(lambda found: found.dims.__setitem__(index, size))


def set_type(data_type: int) -> Change:
    return tensor(lambda found: setattr(found, "data_type", data_type))


def in_two_cycles(model: onnx.ModelProto) -> None:
    node(model, "conv").input[0] = node(model, "relu").output[0]


def self_reading(model: onnx.ModelProto) -> None:
    node(model, "relu").input[0] = node(model, "relu").output[0]


def repeat(place: Callable[[onnx.GraphProto], object]) -> Change:
    """Append, to a list of the graph, its own first entry."""
    return lambda model: place(model.graph).append(place(model.graph)[0])  # type: ignore[attr-defined,index]


def made_again(model: onnx.ModelProto, name: str) -> None:
    model.graph.node.append(helper.make_node("Relu", ["image"], [name], name="culprit"))


def opset(domain: str, version: int) -> Change:
    def change(model: onnx.ModelProto) -> None:
        model.opset_import.append(helper.make_opsetid(domain, version))
        if not domain:
            del model.opset_import[0]

    return change


# What is done to the network; the error; words of its message; the node or value that it names, where there is one.
MALFORMED: dict[str, tuple[Change, type[ModelError], str, str | None]] = {
    # The graph.
    "cycle": (in_two_cycles, ModelUnreadable, "cycle", "conv"),
    "a node that reads itself": (self_reading, ModelUnreadable, "waits for its own result", "relu"),
    "dangling input": (reads("relu", 0, "ghost"), ModelUnreadable, "reads 'ghost', which nothing makes", "relu"),
    "missing initialiser": (lambda m: m.graph.initializer.pop(0), ModelUnreadable, "which nothing makes", "conv"),
    "weight twice": (repeat(lambda g: g.initializer), ModelUnreadable, "more than one value", "weight_0"),
    "input twice": (repeat(lambda g: g.input), ModelUnreadable, "more than one value", "image"),
    "output twice": (repeat(lambda g: g.output), ModelUnreadable, "more than one value", "gemm_11"),
    "value twice": (lambda m: made_again(m, "relu_2"), ModelUnreadable, "more than one value", "relu_2"),
    "value named as a weight": (lambda m: made_again(m, "weight_0"), ModelUnreadable, "more than one", "weight_0"),
    "value named as an input": (lambda m: made_again(m, "image"), ModelUnreadable, "more than one", "image"),
    "unmade output": (
        lambda m: setattr(m.graph.output[0], "name", "nowhere"),
        ModelUnreadable,
        "Nothing makes",
        "nowhere",
    ),
    "no output": (lambda m: m.graph.ClearField("output"), ModelUnreadable, "no output", None),
    "no node": (lambda m: m.graph.ClearField("node"), ModelUnreadable, "no nodes", None),
    "nameless weight": (lambda m: m.graph.initializer.add(data_type=1, dims=[0]), ModelUnreadable, "no name", None),
    "too many nodes": (
        lambda m: m.graph.node.extend([onnx.NodeProto()] * 50_001),
        ModelUnsafe,
        "more than 50000",
        None,
    ),
    # Operators, opsets and domains.
    "custom domain": (added("FusedConv", "com.microsoft"), OperatorUnsupported, "com.microsoft.FusedConv", "culprit"),
    "compiled engine": (added("EPContext", "com.microsoft"), OperatorUnsupported, "EPContext", "culprit"),
    "unknown domain": (added("Relu", "ai.onnx.nowhere"), OperatorUnsupported, "nowhere.Relu", "culprit"),
    "unknown operator": (added("NoSuch"), OperatorUnsupported, "no operator ai.onnx.NoSuch", "culprit"),
    "operator of a later opset": (added("Swish"), OperatorUnsupported, "opset 18 has no", "culprit"),
    "operator that is gone": (added("Upsample", reads=("image", "weight_0")), ModelUnreadable, "deprecated", "culprit"),
    "opset of the future": (opset("", 9999), ModelUnreadable, "opset 9999", None),
    "opset below zero": (opset("", -3), ModelUnreadable, "opset -3", None),
    "two opsets": (opset("ai.onnx", 11), ModelUnreadable, "opset twice", None),
    "no opset": (lambda m: m.ClearField("opset_import"), ModelUnreadable, "names no opset", None),
    "version of the future": (lambda m: setattr(m, "ir_version", 999), ModelUnreadable, "IR version 999", None),
    "no version": (lambda m: m.ClearField("ir_version"), ModelUnreadable, "IR version 0", None),
    "dangling name in a branch": (graph_in_a_node, ModelUnreadable, "'nowhere', which nothing makes", "inner"),
    "operator of others in a branch": (
        branching(inner("FusedConv", "image", domain="com.microsoft")),
        OperatorUnsupported,
        "com.microsoft.FusedConv",
        "within",
    ),
    "attribute of another type in a branch": (
        branching(inner("Softmax", "image", axis="one")),
        ModelUnreadable,
        "Mismatched attribute",
        "within",
    ),
    "weights that do not fit in a branch": (
        branching(inner("Conv", "image", "wrong"), weight=numpy_helper.from_array(np.zeros((8, 4, 3, 3)), "wrong")),
        ModelUnreadable,
        "takes no|have to be the same|wants its input",
        "within",
    ),
    "huge weight in a branch": (
        branching(inner("Add", "image", "huge"), weight=TensorProto(name="huge", data_type=FLOAT, dims=[1 << 40])),
        ModelUnsafe,
        "announces",
        "huge",
    ),
    "weight beside the model in a branch": (
        branching(
            inner("Add", "image", "far"),
            weight=TensorProto(
                name="far",
                data_type=FLOAT,
                dims=[1],
                data_location=TensorProto.EXTERNAL,
                external_data=[onnx.StringStringEntryProto(key="location", value="../etc")],
            ),
        ),
        ModelUnsafe,
        "not a plain file name",
        "far",
    ),
    "branch that hands on what it reads": (
        branching(inner("Relu", "image"), output="image"),
        ModelUnreadable,
        "Nothing makes the output",
        "image",
    ),
    "branch that gives a name anew": (
        branching(helper.make_node("Relu", ["image"], ["weight_0"]), output="weight_0"),
        ModelUnreadable,
        "has it outside as well",
        "weight_0",
    ),
    "cycle through a branch": (branching(inner("Relu", "extra")), ModelUnreadable, "has a cycle", "culprit"),
    "body of fewer inputs": (looping, ModelUnreadable, "graph of 0 inputs", "culprit"),
    "graphs in graphs": (graphs_in_graphs, OperatorUnsupported, "4 graphs deep", "culprit"),
    "local function": (local_function, OperatorUnsupported, "local functions", None),
    "reference to a function": (reference_to_a_function, ModelUnreadable, "of a function", "conv"),
    "training graph": (training_graph, OperatorUnsupported, "training graph", None),
    # Attributes.
    "attribute of another type": (attribute("conv", "group", "two"), ModelUnreadable, "Mismatched attribute", "conv"),
    "list in place of a number": (attribute("concat", "axis", [1]), ModelUnreadable, "Mismatched attribute", "concat"),
    "unknown attribute": (attribute("relu", "slope", 0.1), ModelUnreadable, "Unrecognized attribute", "relu"),
    "missing attribute": (without("concat", "axis"), ModelUnreadable, "'axis' is missing", "concat"),
    "no groups": (attribute("grouped", "group", 0), ModelUnreadable, "0 in 'group'", "grouped"),
    "negative stride": (attribute("conv", "strides", [1, -1]), ModelUnreadable, "-1 in 'strides'", "conv"),
    "no dilation": (attribute("conv", "dilations", [0, 1]), ModelUnreadable, "0 in 'dilations'", "conv"),
    "negative border": (attribute("conv", "pads", [1, 1, -5, 1]), ModelUnreadable, "-5 in 'pads'", "conv"),
    "border past all bounds": (attribute("conv", "pads", [1 << 62] * 4), ModelUnreadable, "in 'pads'", "conv"),
    "three strides": (attribute("conv", "strides", [1, 1, 1]), ModelUnreadable, "2 axes to move along", "conv"),
    "half a border": (attribute("pool", "pads", [0, 0]), ModelUnreadable, "2 axes to move along", "pool"),
    "NaN for an epsilon": (attribute("norm", "epsilon", float("nan")), ModelUnreadable, "no number", "norm"),
    "no permutation": (attribute("turn", "perm", [0, 2, 2, 1]), ModelUnreadable, "no permutation", "turn"),
    "permutation of five": (attribute("turn", "perm", [0, 2, 3, 1, 4]), ModelUnreadable, "reorders", "turn"),
    "axis that is not there": (attribute("concat", "axis", 7), ModelUnreadable, "along axis 7", "concat"),
    "too many inputs": (lambda m: node(m, "relu").input.extend(["image"] * 2), ModelUnreadable, "input size", "relu"),
    "too few inputs": (lambda m: node(m, "conv").input.__delitem__(slice(1, 3)), ModelUnreadable, "input size", "conv"),
    "too many outputs": (lambda m: node(m, "relu").output.append("more"), ModelUnreadable, "output size", "relu"),
    "sparse constant": (sparse_constant, OperatorUnsupported, "sparse", "culprit"),
    # Weights against attributes and against what flows in.
    "kernel of another size": (attribute("conv", "kernel_shape", [5, 5]), ModelUnreadable, "says kernel", "conv"),
    "groups that do not divide": (
        attribute("grouped", "group", 3),
        ModelUnreadable,
        "8 outputs in 3 groups",
        "grouped",
    ),
    "groups that do not fit": (attribute("grouped", "group", 2), ModelUnreadable, r"\[\?, 4, \?, \?\]", "grouped"),
    "flat weight": (weight("conv", 1, np.zeros((8, 27))), ModelUnreadable, "has weights of", "conv"),
    "empty weight": (weight("conv", 1, np.zeros((8, 3, 0, 3))), ModelUnreadable, "has weights of", "conv"),
    "weight for other channels": (weight("conv", 1, np.zeros((8, 4, 3, 3))), ModelUnreadable, "'image' of", "conv"),
    "bias for other channels": (weight("conv", 2, np.zeros(7)), ModelUnreadable, "'weight_1' of", "conv"),
    "norm for other channels": (weight("norm", 1, np.ones(9)), ModelUnreadable, "'weight_2' of", "norm"),
    "columns by other rows": (weight("product", 1, np.zeros((15, 4))), ModelUnreadable, "multiplies 16", "product"),
    "rows of a Gemm": (weight("gemm", 1, np.zeros((63, 5))), ModelUnreadable, "multiplies 64", "gemm"),
    "axes that do not join": (weight("add", 1, np.zeros(3)), ModelUnreadable, "neither equal nor one", "add"),
    "two open sizes": (weight("reshape", 1, [-1, -1], np.int64), ModelUnreadable, "sizes", "reshape"),
    "size below minus one": (weight("reshape", 1, [-1, -64], np.int64), ModelUnreadable, "sizes", "reshape"),
    "NaN for a scale": (weight("resize", 2, [1, 1, np.nan, 2]), ModelUnreadable, "scales or sizes", "resize"),
    "no scale": (weight("resize", 2, [1, 1, 0, 2]), ModelUnreadable, "scales or sizes", "resize"),
    "scale past all bounds": (weight("resize", 2, [1, 1, 1e30, 2]), ModelUnreadable, "scales or sizes", "resize"),
    "weight of whole numbers": (weight("conv", 1, np.zeros((8, 3, 3, 3)), np.int64), ModelUnreadable, "int64", "conv"),
    "weight in double": (weight("conv", 1, np.zeros((8, 3, 3, 3)), np.float64), ModelUnreadable, "the same", "conv"),
    "sizes as fractions": (weight("reshape", 1, [-1, 64]), ModelUnreadable, r"takes no tensor\(float\)", "reshape"),
    # Tensors.
    "short weight": (tensor(cut_short), ModelUnreadable, "should hold 864 and holds 860", "weight_0"),
    "short typed weight": (tensor(typed_and_short), ModelUnreadable, "should hold 216 and holds 1", "weight_0"),
    "huge weight": (set_dim(0, 1 << 40), ModelUnsafe, "announces", "weight_0"),
    "overflowing weight": (tensor(overflowing), ModelUnsafe, "announces", "weight_0"),
    "negative size": (set_dim(0, -8), ModelUnreadable, "negative size", "weight_0"),
    "unknown element type": (set_type(99), ModelUnreadable, "no known element type", "weight_0"),
    "no element type": (set_type(0), ModelUnreadable, "no known element type", "weight_0"),
    "element type of another length": (set_type(INT64), ModelUnreadable, "should hold 1728", "weight_0"),
    "weight in segments": (tensor(segmented), OperatorUnsupported, "segments", "weight_0"),
    "sparse weight": (lambda m: m.graph.sparse_initializer.add(dims=[4]), OperatorUnsupported, "sparse", ""),
    # Inputs.
    "huge input": (shape(lambda s: [d.__setattr__("dim_value", 10**5) for d in s.dim]), ModelUnsafe, "sizes", "image"),
    "negative input": (shape(lambda s: setattr(s.dim[2], "dim_value", -4)), ModelUnsafe, "sizes", "image"),
    "empty input": (shape(lambda s: setattr(s.dim[1], "dim_value", 0)), ModelUnsafe, "sizes", "image"),
    "flat input": (shape(lambda s: s.dim.__delitem__(slice(2, 4))), ModelUnreadable, r"reads \[\?, 3\]", "conv"),
    "input without a shape": (
        lambda m: m.graph.input[0].type.tensor_type.ClearField("shape"),
        ModelUnreadable,
        "no shape",
        "image",
    ),
    "input without a type": (lambda m: m.graph.input[0].ClearField("type"), ModelUnreadable, "no known", "image"),
    "sequence": (
        other_value(helper.make_tensor_sequence_value_info, FLOAT, None),
        OperatorUnsupported,
        "sequence",
        "odd",
    ),
    "sparse input": (
        other_value(helper.make_sparse_tensor_value_info, FLOAT, [4]),
        OperatorUnsupported,
        "sparse",
        "odd",
    ),
    "optional input": (optional_input, OperatorUnsupported, "optional_type", "odd"),
    "sequence between nodes": (noted_as_a_sequence, OperatorUnsupported, "sequence_type", "conv_0"),
}


def bytes_with(name: str) -> bytes:
    model = busy()
    MALFORMED[name][0](model)
    return model.SerializeToString()


def test_the_network_that_is_broken_is_sound_by_itself(tmp_path: Path) -> None:
    (tmp_path / "network").write_bytes(busy().SerializeToString())

    loaded = load(tmp_path / "network")

    assert [found.name for found in loaded.graph] == list(ORDER)
    assert images(loaded)


@pytest.mark.parametrize("name", MALFORMED)
def test_a_malformed_graph_is_refused_by_name(name: str, tmp_path: Path) -> None:
    _, error, words, where = MALFORMED[name]
    (tmp_path / "network").write_bytes(bytes_with(name))

    with pytest.raises(error, match=words) as refused:
        load(tmp_path / "network")

    assert refused.value.where == where


def test_a_file_of_empty_entries_is_refused_before_they_are_made(tmp_path: Path) -> None:
    """Two bytes on disk are a hundred in memory."""
    empty_metadata_entry = b"\x72\x00"
    (tmp_path / "network").write_bytes(busy().SerializeToString() + empty_metadata_entry * 1_000_001)

    with pytest.raises(ModelUnsafe, match="more than 1000000 entries"):
        load(tmp_path / "network")


NAMES: dict[str, Callable[[onnx.ModelProto], str]] = {
    "node": lambda m: m.graph.node[0].name,
    "operator": lambda m: m.graph.node[0].op_type,
    "weight": lambda m: m.graph.initializer[0].name,
    "input": lambda m: m.graph.input[0].name,
    "attribute": lambda m: m.graph.node[0].attribute[0].name,
}


@pytest.mark.parametrize("kind", NAMES)
def test_a_name_that_is_no_text_is_refused(kind: str, tmp_path: Path) -> None:
    model = busy()
    name = NAMES[kind](model).encode()
    data = model.SerializeToString()
    (tmp_path / "network").write_bytes(data.replace(name, b"\xff" * len(name)))

    with pytest.raises(ModelUnreadable, match="not UTF-8"):
        load(tmp_path / "network")


def test_a_stale_note_about_sizes_is_forgotten(tmp_path: Path) -> None:
    """Who edits the sizes of an input by hand leaves the notes about all that follows as they were."""
    model = busy()
    model.graph.value_info.append(helper.make_tensor_value_info("relu_2", FLOAT, [1, 99, 16, 16]))
    model.graph.value_info.append(helper.make_tensor_value_info("conv_0", FLOAT, ["batch", 8, 16, 16]))
    (tmp_path / "network").write_bytes(model.SerializeToString())

    values = load(tmp_path / "network").values()

    assert values["relu_2"].shape is None
    assert str(values["conv_0"].shape) == "[batch,8,16,16]"


def test_graphs_a_thousand_deep_are_refused_before_anything_is_built_from_them(tmp_path: Path) -> None:
    """Deeper than protobuf itself would read: a graph is field 6 of attribute 5 of node 1 of the graph around it."""

    def entry(field: int, content: bytes) -> bytes:
        length, rest = bytearray(), len(content)
        while rest > 127:
            length.append(rest & 127 | 128)
            rest >>= 7
        return bytes([field << 3 | 2, *length, rest]) + content

    graph = b""
    for _ in range(1000):
        graph = entry(1, entry(4, b"If") + entry(5, entry(6, graph)))
    (tmp_path / "deep.onnx").write_bytes(entry(7, graph))

    with pytest.raises(OperatorUnsupported, match="4 graphs deep"):
        load(tmp_path / "deep.onnx")
