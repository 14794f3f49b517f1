"""What detections are found by, and a job on a detector that gives as many as it finds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
from onnx import TensorProto

from engine import compress as story
from engine import teaching
from engine.compress import compress
from engine.graph.features import find_features
from engine.graph.finders import judged_by
from engine.graph.model import Model
from engine.graph.normalise import normalise
from engine.progress import Progress
from engine.recipe import Recipe
from engine.recovery.schedule import Schedule
from tests.engine.test_compress import HurriedClock
from tests.networks import CHANNELS, ONE_IMAGE, Draft, blocks, images, residual, stem

PLACES = 16 * 16


def detector() -> Model:
    """Boxes and scores of every place, and of these the boxes that non-maximum suppression leaves."""
    draft = Draft()
    x = blocks(draft, stem(draft), 3)
    four, flat = draft.constant([1, PLACES, 4], np.int64), draft.constant([1, 1, PLACES], np.int64)
    turned = draft.node("Transpose", draft.conv(x, CHANNELS, 4, kernel=1), perm=[0, 2, 3, 1])
    boxes = draft.node("Reshape", turned, four)
    scores = draft.node("Reshape", draft.node("Sigmoid", draft.conv(x, CHANNELS, 1, kernel=1)), flat)
    limits = [draft.constant([each], kind) for each, kind in ((PLACES, np.int64), (0.5, np.float32), (0.5, np.float32))]
    places = draft.node("NonMaxSuppression", boxes, scores, *limits)
    place = draft.node("Squeeze", draft.node("Slice", places, *ends(draft)), draft.constant([1], np.int64))
    chosen = draft.node("Gather", draft.node("Squeeze", boxes, draft.constant([0], np.int64)), place, axis=0)
    also = {places: (TensorProto.INT64, ("found", 3))}
    return draft.model(chosen, ONE_IMAGE, ("found", 4), also=also)


def ends(draft: Draft) -> list[str]:
    """Take the last column: the place of each box that is left."""
    return [draft.constant(each, np.int64) for each in ([2], [3], [1])]


def mask_and_places() -> Model:
    """A map, and where it is above a half: what is found is a whole number, and not even its judge is one."""
    draft = Draft()
    strong = draft.node("Sigmoid", draft.conv(blocks(draft, stem(draft), 2), CHANNELS, 1))
    places = draft.node("NonZero", draft.node("Greater", strong, draft.constant(0.5)))
    return draft.model(places, output_shape=(4, "found"), also={strong: (TensorProto.FLOAT, ("batch", 1, 16, 16))})


def test_detections_are_judged_by_the_boxes_and_scores_of_all_places() -> None:
    model = normalise(detector())
    (suppression,) = (node for node in model.graph if node.op_type == "NonMaxSuppression")
    read = tuple(str(value.name) for value in suppression.inputs[:2] if value is not None)

    features = find_features(model)

    assert features.values == read  # the limits are constants
    assert features.logits == ()  # four numbers a box are no four classes


def test_what_is_found_of_a_map_is_judged_by_the_map() -> None:
    model = normalise(mask_and_places())

    found, strong = model.graph.outputs

    assert judged_by(found) == (strong,)
    assert judged_by(strong) == ()
    assert find_features(model).values == (strong.name,)


def test_a_network_that_finds_nothing_is_judged_by_its_outputs() -> None:
    assert not any(judged_by(output) for output in residual().graph.outputs)


def test_a_detector_is_cut_and_told_by_how_many_images_it_finds_more_or_less_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(teaching, "schedule_for", lambda model: Schedule(steps=2, batch=8, evaluate_every=1))
    monkeypatch.setattr(story, "Clock", HurriedClock)
    model = detector()
    (tmp_path / "model.onnx").write_bytes(model.to_bytes())
    shown = np.concatenate([next(iter(images(model, seed=seed).values())) for seed in range(30)])
    np.save(tmp_path / "images.npy", shown)
    asked: dict[str, Any] = {"method": {"name": "practise"}, "target": {"units": 1}, "budget_seconds": 10}

    delivery = compress(tmp_path / "model.onnx", tmp_path / "images.npy", Recipe.model_validate(asked), Progress())

    report = delivery.report
    assert report.fidelity is not None
    assert report.fidelity.agreement is None
    boxes, _places = report.fidelity.outputs
    assert 0 <= boxes.incomparable_images <= report.fidelity.images == 3
    assert (boxes.relative_error is None) == (boxes.incomparable_images == 3)
    after = onnxruntime.InferenceSession(delivery.model.to_bytes())
    assert after.run(None, {"image": shown[:1]})[0].shape[1] == 4
