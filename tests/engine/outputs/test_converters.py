"""A converted network takes and gives what its source does, says nearly the same, and is the same file each time."""

from __future__ import annotations

import numpy as np
import onnx
import pytest

from engine.data.images import ImageSet
from engine.execution.runtime import open_session, run
from engine.graph.model import Model
from engine.measure.batches import outputs_in_batches
from engine.outputs import OUTPUTS, Kind
from engine.outputs.converted import NotConvertible
from engine.recipe import Deploy
from tests.control_flow import CONTROL_FLOW
from tests.engine.outputs.subjects import images_for, plain
from tests.networks import CHANNELS, NETWORKS, Draft, blocks, half_precision, stem

TOLERANCE: dict[Kind, float] = {"fp16": 2e-3, "int8": 0.1}
"""Of the largest number of an output."""

DIFFICULT = (
    "residual",
    "residual_of_one",
    "channels_last",
    "scores_and_map",
    "scores_and_class",
    "half_weights",
    "inverted_residual",
    "squeeze_excite",
    "transformer",
    "windows",
    "old_opset",
)


def converted(kind: Kind, source: Model, images: int = 4) -> Model:
    return OUTPUTS[kind].convert(source, images_for(source, images), Deploy()).model


@pytest.mark.parametrize("kind", OUTPUTS)
@pytest.mark.parametrize("name", [*DIFFICULT, *CONTROL_FLOW])
def test_a_converted_network_is_the_network(name: str, kind: Kind) -> None:
    source = plain((NETWORKS[name][0] if name in NETWORKS else CONTROL_FLOW[name])())
    source.ir.metadata_props["author"] = "the user"
    shown = images_for(source, 3, seed=7)
    known = shown if name in CONTROL_FLOW else images_for(source, 48)  # a branch that none took has no ranges

    found = OUTPUTS[kind].convert(source, known, Deploy()).model

    onnx.checker.check_model(found.to_bytes())
    assert (found.inputs, found.outputs, found.opset) == (source.inputs, source.outputs, source.opset)
    assert dict(found.ir.metadata_props) == {"author": "the user"}
    before, after = (answers(model, shown) for model in (source, found))
    for output, wanted in before.items():
        assert after[output].dtype == wanted.dtype
        scale = max(float(np.abs(wanted).max()), 1e-6)
        assert np.abs(after[output].astype(float) - wanted).max() / scale <= TOLERANCE[kind]


def answers(model: Model, images: ImageSet) -> dict[str, np.ndarray]:
    batches = list(outputs_in_batches(model, images, Deploy()))
    return {name: np.concatenate([np.atleast_1d(batch[name]) for batch in batches]) for name in batches[0]}


@pytest.mark.parametrize("kind", OUTPUTS)
def test_the_source_is_left_alone_and_gives_the_same_file_again(kind: Kind) -> None:
    source = plain(NETWORKS["transformer"][0]())
    before = source.to_bytes()

    files = [converted(kind, source).to_bytes() for _ in range(2)]

    assert files[0] == files[1]
    assert source.to_bytes() == before


def test_norms_stay_in_32_bits() -> None:
    """And two that read one value are both served, although the converter writes the cast before them twice."""
    draft = Draft()
    scales = [draft.constant(draft.random.uniform(0.5, 1.5, 16)) for _ in range(2)]
    x = draft.node("Relu", draft.conv("image", 3, CHANNELS))
    first, second = (draft.node("LayerNormalization", x, scale, axis=-1) for scale in scales)
    source = plain(draft.model(draft.classify(draft.node("Add", first, second))))

    found = converted("fp16", source)

    onnx.checker.check_model(found.to_bytes())
    norms = [node for node in found.graph if node.op_type == "LayerNormalization"]
    assert len(norms) == 2
    assert {node.inputs[0] for node in norms if node.inputs[0] is not None} == {norms[0].inputs[0]}
    kinds = {name: found.weight(name).dtype for name in found.graph.initializers}
    assert {np.dtype(np.float32), np.dtype(np.float16)} == set(kinds.values())
    assert all(kinds[scale] == np.float32 for scale in scales)


def test_half_precision_halves_the_weights() -> None:
    source = plain(wide())

    found = converted("fp16", source)

    assert len(found.to_bytes()) < 0.55 * len(source.to_bytes())


def test_whole_numbers_quarter_the_weights_and_stand_at_every_layer() -> None:
    source = plain(wide())

    found = converted("int8", source)

    assert len(found.to_bytes()) < 0.35 * len(source.to_bytes())
    layers = [node for node in found.graph if node.op_type in ("Conv", "Gemm")]
    producers = [value.producer() for node in layers for value in node.inputs[:2] if value is not None]
    assert layers
    assert {None if node is None else node.op_type for node in producers} == {"DequantizeLinear"}
    # a scale for each channel that a layer writes
    weights = [node.inputs[1].producer() for node in layers if node.inputs[1] is not None]
    assert all(node is not None and scales(found, node.inputs[1]) > 1 for node in weights)


def scales(model: Model, value: object) -> int:
    return model.weight(str(getattr(value, "name", ""))).size


def wide() -> Model:
    draft = Draft()
    x = draft.node("Relu", draft.conv("image", 3, 64))
    x = draft.node("Relu", draft.conv(x, 64, 64))
    return draft.model(draft.classify(x, channels=64))


def determinant() -> Model:
    draft = Draft()
    return draft.model(draft.node("Det", "image"), output_shape=("batch", 3))


@pytest.mark.parametrize(
    ("kind", "source", "said"),
    [
        ("fp16", half_precision, "No weight of the network is a number of 32 bits"),
        ("int8", lambda: converted("int8", plain(wide())), "quantised already"),
        ("int8", determinant, "no operator that ONNX Runtime can quantise"),
    ],
)
def test_what_cannot_be_told_in_fewer_bits_is_refused(kind: Kind, source: object, said: str) -> None:
    assert callable(source)

    with pytest.raises(NotConvertible, match=said):
        converted(kind, source())


def test_a_trained_network_names_the_same_class_in_whole_numbers() -> None:
    """Five colours under noise, told by a linear layer that is fitted by least squares: 99 % of 400 images agree."""
    shown, labels = coloured(400, seed=0)
    source = fitted(shown, labels)
    test, truth = coloured(400, seed=1)

    whole = OUTPUTS["int8"].convert(source, shown.take(np.arange(64)), Deploy()).model

    before, after = (next(iter(answers(model, test).values())).argmax(axis=1) for model in (source, whole))
    assert (before == truth).mean() >= 0.95
    assert (before == after).mean() >= 0.99
    assert (after == truth).mean() >= 0.95


def coloured(count: int, seed: int) -> tuple[ImageSet, np.ndarray]:
    random = np.random.default_rng(seed)
    labels = random.integers(5, size=count)
    colours = np.random.default_rng(9).standard_normal((5, 3, 1, 1))
    inputs = (colours[labels] + 1.5 * random.standard_normal((count, 3, 16, 16))).astype(np.float32)
    return ImageSet(inputs, None, tuple(map(str, range(count)))), labels


def fitted(images: ImageSet, labels: np.ndarray) -> Model:
    """Return a network of two blocks whose last layer says +1 for the class and -1 for others, as well as it can."""
    draft = Draft()
    pooled = draft.node("Flatten", draft.node("GlobalAveragePool", blocks(draft, stem(draft), 2)))
    features = draft.model(pooled, output_shape=("batch", CHANNELS))
    values = run(open_session(features), {"image": images.inputs})[pooled].astype(np.float64)
    wanted = 2 * np.eye(5)[labels] - 1
    solved, *_ = np.linalg.lstsq(np.c_[values, np.ones(len(values))], wanted, rcond=None)
    weights = [draft.constant(part) for part in (solved[:-1].T, solved[-1])]
    return draft.model(draft.node("Gemm", pooled, *weights, transB=1))
