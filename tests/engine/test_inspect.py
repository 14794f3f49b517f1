"""The first verdict: what is in the file, what can be cut, what stands in the way, without loading torch."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import onnx
import onnx_ir as ir
import pytest

from engine.errors import ModelUnreadable, NothingToCut, RecipeInvalid
from engine.formats.onnx import save
from engine.graph.model import Model
from engine.inspect import inspect_model
from engine.recipe import METHODS, Practise, Preprocess, Recipe
from tests.networks import NETWORKS, Draft, blocks, dense, residual, residual_with_batch_norm, stem


def saved(model: Model, folder: Path) -> Path:
    save(model, folder / "network.onnx")
    return folder / "network.onnx"


def test_a_network_is_described(tmp_path: Path) -> None:
    found = inspect_model(saved(residual(), tmp_path))

    (image,) = found.inputs
    assert (image.name, image.dtype, image.shape) == ("image", "float32", ("batch", 3, 16, 16))
    assert [info.name for info in found.outputs] == ["gemm_19"]
    assert found.opset == 18
    assert found.operators["Conv"] == 7
    assert found.parameters == 3 * 8 * 9 + 8 + 6 * (8 * 8 * 9 + 8) + 8 * 5 + 5
    assert found.macs == 256 * (3 * 8 * 9 + 6 * 8 * 8 * 9) + 8 * 5
    assert (found.batch_norm_layers, found.batch_norm_folded) == (0, True)
    branches = [unit for unit in found.units if unit.kind == "branch"]
    assert len(branches) == 3
    assert len({unit.signature for unit in branches}) == 1
    assert found.blocking == ()


def test_batch_norm_is_counted(tmp_path: Path) -> None:
    found = inspect_model(saved(residual_with_batch_norm(), tmp_path))

    assert (found.batch_norm_layers, found.batch_norm_folded) == (5, False)


def test_another_norm_beside_convolutions_is_no_batch_norm(tmp_path: Path) -> None:
    """As in ConvNeXt."""
    draft = Draft()
    normed = draft.node("LayerNormalization", stem(draft), draft.weight(16), draft.weight(16), axis=-1)
    found = inspect_model(saved(draft.model(draft.classify(normed)), tmp_path))

    assert (found.batch_norm_layers, found.batch_norm_folded) == (0, True)


def test_an_element_type_that_is_not_run_is_listed_by_its_node(tmp_path: Path) -> None:
    draft = Draft()
    whole = draft.node("Cast", stem(draft), to=onnx.TensorProto.UINT16)
    summed = draft.node("Cast", draft.node("Add", whole, whole), to=onnx.TensorProto.FLOAT)
    found = inspect_model(saved(draft.model(draft.classify(summed)), tmp_path))

    blocker = found.blocking[0]
    assert (blocker.code, blocker.where) == ("operator-unsupported", draft.nodes[-5].name)
    assert "Add of UINT16" in blocker.message


@pytest.mark.parametrize("name", NETWORKS)
def test_every_unit_is_listed(name: str, tmp_path: Path) -> None:
    build, branches = NETWORKS[name]

    found = inspect_model(saved(build(), tmp_path))

    kinds = [unit.kind for unit in found.units]
    assert kinds.count("branch") == branches
    applies = {method.name: method.applies for method in found.methods}
    assert applies["practise"] == bool(kinds)
    assert found.blocking == ()


def test_attention_and_mlp_are_told_apart(tmp_path: Path) -> None:
    found = inspect_model(saved(NETWORKS["transformer"][0](), tmp_path))

    assert {unit.work for unit in found.units if unit.kind == "branch"} == {"attention", "linear"}


def test_channels_that_can_go_are_listed(tmp_path: Path) -> None:
    """Three blocks of two convolutions: each inner one's channels, and those that the shortcuts tie together."""
    found = inspect_model(saved(residual(), tmp_path))

    assert [group.channels for group in found.groups] == [8, 8, 8, 8]
    shared, *inner = found.groups
    assert shared.weights > max(group.weights for group in inner)
    assert all(len(group.readers) == 1 for group in inner)
    assert found.barriers == found.unruled == ()


def test_a_node_that_channels_do_not_pass_is_named(tmp_path: Path) -> None:
    """An operator that runs but whose channels nobody follows: what it touches stays, the rest can go."""
    draft = Draft()
    x = draft.node("Det", draft.conv(draft.node("Relu", draft.conv("image", 3, 8)), 8, 8))

    found = inspect_model(saved(draft.model(x, output_shape=("batch", 8)), tmp_path))

    assert [group.channels for group in found.groups] == [8]
    (barrier,) = found.barriers
    assert (barrier.op_type, barrier.node) == ("Det", *found.unruled)


def test_each_method_says_whether_it_finds_anything(tmp_path: Path) -> None:
    """Blocks, groups and norms suit every method; without a block there are still groups."""
    suits = inspect_model(saved(residual_with_batch_norm(), tmp_path))
    other = inspect_model(saved(dense(), tmp_path))

    assert {method.name: method.applies for method in suits.methods} == dict.fromkeys(METHODS, True)
    blocked = {method.name: method.blocked_by for method in other.methods}
    assert blocked["auto"] is blocked["l1"] is None
    assert blocked["practise"] is not None
    assert blocked["practise"].code == "nothing-to-cut"


def test_no_method_applies_to_what_no_job_can_run_on(tmp_path: Path) -> None:
    draft = Draft()
    scores = draft.classify(draft.node("RandomNormalLike", blocks(draft, stem(draft), 2)))

    found = inspect_model(saved(draft.model(scores), tmp_path))

    assert [method.applies for method in found.methods] == [False] * len(METHODS)
    assert {blocker.code for method in found.methods if (blocker := method.blocked_by)} == {"operator-unsupported"}


def test_open_sizes_give_no_count(tmp_path: Path) -> None:
    found = inspect_model(saved(residual(("batch", 3, "height", "width")), tmp_path))

    assert found.macs is None
    assert "Conv (shape unknown)" in found.uncounted


def test_a_recipe_turns_what_blocks_into_the_error_of_the_job(tmp_path: Path) -> None:
    """A network without units: no job of a method that takes nothing else."""
    path = saved(dense(), tmp_path)

    assert inspect_model(path, Recipe()).blocking == ()
    with pytest.raises(NothingToCut):
        inspect_model(path, Recipe(method=Practise()))


def test_an_old_network_is_said_to_come_back_at_a_newer_opset(tmp_path: Path) -> None:
    found = inspect_model(saved(NETWORKS["old_opset"][0](), tmp_path))

    assert found.opset < 18
    assert found.delivered_opset == 18
    assert found.notes == ()


def test_what_could_not_be_lifted_is_noted(tmp_path: Path) -> None:
    """ONNX's converter gets Hardmax before opset 13 wrong, so that such a network keeps its opset."""
    draft = Draft(opset=11)
    scores = draft.classify(blocks(draft, stem(draft), 1))

    found = inspect_model(saved(draft.model(draft.node("Hardmax", scores)), tmp_path))

    assert (found.opset, found.delivered_opset) == (11, 11)
    assert "Hardmax" in found.notes[0]


def test_what_blocks_is_named(tmp_path: Path) -> None:
    """An operator that the executor does not run; that there is no unit besides stops not every method."""
    draft = Draft()
    noise = draft.node("RandomNormalLike", draft.conv("image", 3, 8))

    found = inspect_model(saved(draft.model(draft.classify(noise)), tmp_path))

    assert [blocker.code for blocker in found.blocking] == ["operator-unsupported"]
    assert found.blocking[0].where == "node_1_RandomNormalLike"


@pytest.mark.parametrize("dtype", [ir.DataType.UINT8, ir.DataType.FLOAT16])
def test_an_input_that_takes_no_float32_blocks(dtype: ir.DataType, tmp_path: Path) -> None:
    model = residual()
    (image,) = model.graph.inputs
    cast = ir.node("Cast", [image], {"to": ir.DataType.FLOAT}, name="cast")
    image.replace_all_uses_with(cast.outputs[0])
    cast.replace_input_with(0, image)
    image.dtype = dtype
    model.graph.insert_before(model.graph[0], cast)

    found = inspect_model(saved(model, tmp_path))

    assert [(blocker.code, blocker.where) for blocker in found.blocking] == [("model-rejected", "image")]


def test_a_second_input_blocks(tmp_path: Path) -> None:
    model = residual()
    mask = ir.Value(name="mask", type=ir.TensorType(ir.DataType.FLOAT), shape=ir.Shape([1]))
    model.graph.inputs.append(mask)
    masked = ir.node("Mul", [model.graph.outputs[0], mask], name="mask_scores")
    masked.outputs[0].name = "masked"
    model.graph.append(masked)
    model.graph.outputs[0] = masked.outputs[0]
    masked.outputs[0].type, masked.outputs[0].shape = ir.TensorType(ir.DataType.FLOAT), ir.Shape(["batch", 5])

    found = inspect_model(saved(model, tmp_path))

    assert [blocker.code for blocker in found.blocking] == ["model-rejected"]
    assert "2 inputs: 'image' of float32, 'mask' of float32" in found.blocking[0].message


def test_outputs_that_cannot_be_learnt_block(tmp_path: Path) -> None:
    model = residual()
    top = ir.node("ArgMax", [model.graph.outputs[0]], {"axis": 1}, name="top")
    top.outputs[0].name = "top_class"
    top.outputs[0].type, top.outputs[0].shape = ir.TensorType(ir.DataType.INT64), ir.Shape(["batch", 1])
    model.graph.append(top)
    model.graph.outputs[0] = top.outputs[0]

    found = inspect_model(saved(model, tmp_path))

    assert [(blocker.code, blocker.where) for blocker in found.blocking] == [("operator-unsupported", "top_class")]


def test_a_file_that_cannot_be_read_raises(tmp_path: Path) -> None:
    (tmp_path / "network.onnx").write_bytes(b"")

    with pytest.raises(ModelUnreadable):
        inspect_model(tmp_path / "network.onnx")


def test_torch_is_not_loaded(tmp_path: Path) -> None:
    path = saved(dense(), tmp_path)
    script = (
        "import sys; from pathlib import Path; from engine.inspect import inspect_model;"
        "inspect_model(Path(sys.argv[1])); sys.exit('torch' in sys.modules)"
    )

    assert subprocess.run([sys.executable, "-c", script, str(path)], check=False).returncode == 0


@pytest.mark.parametrize(
    ("preprocess", "where"),
    [
        (Preprocess(mean=(0.5, 0.5)), "preprocess.mean"),
        (Preprocess(std=(0.5,) * 4), "preprocess.std"),
        (Preprocess(layout="NHWC"), "preprocess.layout"),
    ],
    ids=["mean", "std", "layout"],
)
def test_a_recipe_that_does_not_fit_the_input_is_refused(preprocess: Preprocess, where: str, tmp_path: Path) -> None:
    path = saved(residual(), tmp_path)
    inspect_model(path, Recipe(preprocess=Preprocess(mean=(0.5,), std=(0.1, 0.2, 0.3))))

    with pytest.raises(RecipeInvalid) as caught:
        inspect_model(path, Recipe(preprocess=preprocess))

    assert caught.value.where == where
