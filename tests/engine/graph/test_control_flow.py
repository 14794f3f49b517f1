"""Networks with branches and loops: read, run and cut like others, but for what their bodies touch."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import helper

from engine.execution.executor import Executor
from engine.formats import load
from engine.graph.bodies import bodies, every_node, reads
from engine.graph.channels.groups import find_groups
from engine.graph.channels.ignore import ignore_channels
from engine.graph.channels.remove import remove_channels
from engine.graph.extract import extract
from engine.graph.folds import fold
from engine.graph.merges import merge
from engine.graph.model import Model
from engine.graph.normalise import normalise, notes
from engine.graph.surgery import remove_units
from engine.graph.units import find_units, signature
from engine.inspect import inspect_model
from engine.measure.cost import count
from tests.control_flow import CONTROL_FLOW, branch, chosen, chosen_beside_a_skip, looped
from tests.networks import CHANNELS, Draft, images, stem

each = pytest.mark.parametrize("name", CONTROL_FLOW)


def read(name: str, folder: Path) -> Model:
    (folder / "model.onnx").write_bytes(CONTROL_FLOW[name]().to_bytes())
    return load(folder / "model.onnx")


def run(model: Model) -> list[np.ndarray]:
    """Return the output for images that are bright and for such that are dark, which the conditions tell apart."""
    session = onnxruntime.InferenceSession(model.to_bytes())
    return [session.run(None, feeds)[0] for feeds in on_either_side(model)]


def on_either_side(model: Model) -> list[dict[str, np.ndarray]]:
    return [{name: image + shift for name, image in images(model).items()} for shift in (1, -1)]


def assert_same(found: list[np.ndarray], wanted: list[np.ndarray]) -> None:
    for a, b in zip(found, wanted, strict=True):
        assert a.shape == b.shape
        assert np.abs(a - b).max() <= 1e-5 * max(1, np.abs(b).max())


@each
def test_the_plain_form_the_merged_one_and_the_executor_agree_with_the_upload(name: str, tmp_path: Path) -> None:
    model = read(name, tmp_path)

    plain = normalise(model)
    fold(plain)

    wanted, executor = run(model), Executor(plain)
    assert_same(run(plain), wanted)
    assert_same(run(merge(plain)), wanted)
    for feeds, outputs in zip(on_either_side(model), wanted, strict=True):
        (found,) = executor({name: torch.from_numpy(image) for name, image in feeds.items()}).values()
        assert_same([found.detach().numpy()], [outputs])
    assert plain.outputs == model.outputs


@each
def test_channels_ignored_are_channels_removed(name: str, tmp_path: Path) -> None:
    plain = normalise(read(name, tmp_path))
    grouping = find_groups(plain)
    cuts = {group.name: range(group.size // 2) for group in grouping.groups}

    smaller = remove_channels(plain, cuts)

    assert cuts
    assert grouping.unknown == tuple(node.name for node in plain.graph if bodies(node))
    assert count(smaller).macs < count(plain).macs
    assert_same(run(smaller), run(ignore_channels(plain, cuts)))
    onnx.checker.check_model(smaller.to_bytes())


@each
def test_each_unit_may_go(name: str, tmp_path: Path) -> None:
    plain = normalise(read(name, tmp_path))
    units = find_units(plain)

    for unit in units:
        cut = remove_units(plain, [unit])
        assert len(cut.nodes()) < len(plain.nodes())
        onnx.checker.check_model(cut.to_bytes())
        assert all(np.isfinite(output).all() for output in run(cut))
    assert any(unit.kind == "branch" for unit in units)


def test_a_branch_that_holds_graphs_is_a_unit() -> None:
    plain = normalise(chosen_beside_a_skip())

    (unit,) = [unit for unit in find_units(plain) if any("If" in node for node in unit.nodes)]

    assert not any(bodies(node) for node in remove_units(plain, [unit]).graph)
    renamed = plain.copy()
    for node in every_node(renamed.graph):
        for value in node.outputs:
            value.name = f"{value.name}_other" if str(value.name) not in (unit.source, unit.target) else value.name
    assert signature(renamed, unit) == signature(plain, unit)


def test_what_a_body_reads_counts_as_read_and_is_never_swept_away() -> None:
    plain = normalise(looped())
    (loop,) = [node for node in plain.graph if bodies(node)]
    captured = [value for value in reads(loop) if value not in loop.inputs]

    part = extract(plain, [str(loop.outputs[0].name)])

    assert [value.op_type for value in (value.producer() for value in captured) if value is not None] == ["Relu"]
    assert str(captured[0].name) in part.values()


def test_a_known_condition_gives_way_to_the_branch_taken() -> None:
    """As TorchScript writes a squeeze; both nodes use the same names inside, and names outside stay."""
    draft = Draft()
    x = draft.node("Conv", stem(draft), draft.weight(CHANNELS, CHANNELS, 16, 16))
    size = draft.node("Gather", draft.node("Shape", x), draft.constant(3, np.int64))
    one, axes = draft.node("Equal", size, draft.constant(1, np.int64)), draft.constant([2, 3], np.int64)
    squeezed = branch(
        "made", helper.make_node("Neg", [x], ["inner"]), helper.make_node("Squeeze", ["inner", axes], ["made"])
    )
    y = draft.node("If", one, then_branch=squeezed, else_branch=branch("made", helper.make_node("Relu", [x], ["made"])))
    doubled = branch("made", helper.make_node("Abs", [y], ["inner"]), helper.make_node("Sqrt", ["inner"], ["made"]))
    z = draft.node("If", one, then_branch=doubled, else_branch=branch("made", helper.make_node("Relu", [y], ["made"])))
    model = draft.model(draft.node("Exp", z), output_shape=("batch", CHANNELS))

    plain = normalise(model)

    assert [node.op_type for node in plain.graph][-5:] == ["Neg", "Squeeze", "Abs", "Sqrt", "Exp"]
    assert {y, z, "inner", "inner_1"} <= set(plain.values())
    assert_same(run(plain), run(model))


def test_a_branch_goes_on_making_what_it_gives() -> None:
    """ONNX Runtime refuses a branch that hands on what it reads outside."""
    draft = Draft()
    x = stem(draft)
    high = draft.node("Greater", draft.node("ReduceMean", "image", keepdims=0), draft.constant(0.0))
    same = branch("made", helper.make_node("Identity", [x], ["made"]))
    y = draft.node("If", high, then_branch=same, else_branch=branch("made", helper.make_node("Neg", [x], ["made"])))
    model = draft.model(draft.classify(y))

    assert_same(run(normalise(model)), run(model))


def test_an_old_network_with_graphs_inside_stays_at_its_opset() -> None:
    model = chosen()
    model.graph.opset_imports[""] = 17
    for node in model.graph:
        assert node.op_type != "Split"  # nothing in it changed between the two

    plain = normalise(model)

    assert plain.opset == 17
    assert "holds graphs" in notes(plain)[0]


def test_a_first_look_names_what_lies_inside(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(looped().to_bytes())

    found = inspect_model(path)

    assert (found.operators["Loop"], found.operators["Identity"]) == (1, 1)
    assert {"Loop", "Mul in Loop", "Add in Loop"} <= set(found.uncounted)
    assert not found.blocking
    assert found.parameters == count(load(path)).parameters


def test_a_new_value_has_a_name_that_no_body_uses() -> None:
    plain = normalise(chosen())

    assert {"made", "inner"} <= plain.names() - set(plain.values())
    assert len({node.name for node in every_node(plain.graph)}) == len(list(every_node(plain.graph)))
