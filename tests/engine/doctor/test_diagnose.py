"""The doctor on a tiny trained network: each harm is found by its name, and healthy sets are left alone."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import pytest

from engine.diagnosis import Ailment, Diagnosis
from engine.doctor.diagnose import diagnose
from engine.errors import CalibrationMismatch
from engine.recipe import Preprocess, Recipe
from tests.engine.doctor.conftest import CLASSES, Pixels, Save, pictures, ready

COUNT = 96
Array = npt.NDArray[Any]


def see(network: Path, images: Path, **preprocess: Any) -> Diagnosis:
    return diagnose(network, images, Recipe(preprocess=Preprocess(**preprocess)))


def ailments(report: Diagnosis) -> list[Ailment]:
    return [finding.ailment for finding in report.findings]


def with_copies(pixels: Pixels) -> Pixels:
    copied = pixels.copy()
    copied[::3] = pixels[1::3][: len(copied[::3]), :, ::-1]
    return copied


def of_one_class(pixels: Pixels) -> Pixels:
    return pictures(len(pixels), seed=5, classes=np.where(np.arange(len(pixels)) % 10 < 8, 2, 1))


HARMED_PIXELS: dict[str, tuple[Ailment, Callable[[Pixels], Array], dict[str, Any]]] = {
    "cast after the normalisation": ("dtype", lambda p: np.round(p / 100 - 1).astype(np.int64).astype(np.uint8), {}),
    "an array of int32": ("dtype", lambda p: p.astype(np.int32), {}),
    "reshaped": ("layout", lambda p: np.ascontiguousarray(p.transpose(0, 3, 1, 2)).reshape(p.shape), {}),
    "turned": ("layout", lambda p: np.ascontiguousarray(p.transpose(0, 2, 1, 3)), {}),
    "not scaled": ("range", lambda p: p, {"scale": 1.0}),
    "scaled twice": ("range", lambda p: p, {"scale": 1 / 255**2}),
    "not normalised": ("normalisation", lambda p: p, {"mean": (0.0,), "std": (1.0,)}),
    "blue first": ("channel_order", lambda p: p[..., ::-1], {}),
    "mirrored copies": ("duplicates", with_copies, {}),
    "mostly one class": ("class_imbalance", of_one_class, {}),
    "pictures of other things": ("out_of_distribution", lambda p: pictures(len(p), seed=5, kinds=9), {}),
}
HARMED_FLOATS: dict[str, tuple[Ailment, Callable[[Pixels], Array]]] = {
    "int8 codes": ("dtype", lambda p: p.transpose(0, 3, 1, 2).astype(np.float32) - 128),
    "rounded": ("dtype", lambda p: np.round(ready(p))),
    "channels last": ("layout", lambda p: np.ascontiguousarray(ready(p).transpose(0, 2, 3, 1))),
    "reshaped": ("layout", lambda p: np.ascontiguousarray(ready(p).transpose(0, 2, 3, 1)).reshape(ready(p).shape)),
    "turned": ("layout", lambda p: np.ascontiguousarray(ready(p).transpose(0, 1, 3, 2))),
    "pixels": ("range", lambda p: p.transpose(0, 3, 1, 2).astype(np.float32)),
    "0 to 1": ("normalisation", lambda p: (p / 255).transpose(0, 3, 1, 2).astype(np.float32)),
    "blue first": ("channel_order", lambda p: ready(p)[:, ::-1]),
    "double precision of other things": ("out_of_distribution", lambda p: ready(pictures(len(p), 5, 9)).astype(float)),
}


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("as_floats", [False, True])
def test_a_healthy_set_is_left_alone(network: Path, save: Save, seed: int, as_floats: bool) -> None:
    pixels = pictures(COUNT, seed=100 + seed)

    report = see(network, save(ready(pixels) if as_floats else pixels))

    assert report.findings == ()
    assert {check.verdict for check in report.checks} == {"healthy"}
    assert report.recipe is None
    assert report.confidence == report.confidence_mended


@pytest.mark.parametrize("name", HARMED_PIXELS)
def test_each_harm_to_pixels_is_found_by_its_name(network: Path, save: Save, name: str) -> None:
    ailment, harm, preprocess = HARMED_PIXELS[name]

    report = see(network, save(harm(pictures(COUNT, seed=200))), **preprocess)

    assert ailment in ailments(report)
    assert next(check.verdict for check in report.checks if check.ailment == ailment) == "found"
    assert all(len(finding.message) > 20 and len(finding.fix) > 20 for finding in report.findings)


@pytest.mark.parametrize("name", HARMED_FLOATS)
def test_each_harm_to_ready_inputs_is_found_by_its_name(network: Path, save: Save, name: str) -> None:
    ailment, harm = HARMED_FLOATS[name]

    report = see(network, save(np.ascontiguousarray(harm(pictures(COUNT, seed=300)))))

    assert ailment in ailments(report)
    assert report.recipe is None  # a recipe does nothing to arrays that are ready


@pytest.mark.parametrize("wild", [np.nan, np.inf, -np.inf])
def test_values_that_are_no_numbers_are_told_as_that(network: Path, save: Save, wild: float) -> None:
    values = ready(pictures(COUNT, seed=300))
    values[3, 1, 2, :4] = wild

    report = see(network, save(values))

    assert "NaN or infinity" in next(finding.message for finding in report.findings if finding.ailment == "dtype")


@pytest.mark.parametrize("name", ["not scaled", "scaled twice", "not normalised", "blue first"])
def test_the_recipe_that_is_offered_heals(network: Path, save: Save, name: str) -> None:
    _, harm, preprocess = HARMED_PIXELS[name]
    path = save(np.ascontiguousarray(harm(pictures(COUNT, seed=400))))
    ill = see(network, path, **preprocess)
    assert ill.recipe is not None

    healed = see(network, path, **{**preprocess, **ill.recipe["preprocess"]})

    assert healed.findings == ()
    assert healed.confidence == pytest.approx(ill.confidence_mended, abs=0.01)


def test_labels_speak_of_classes_where_there_are_any(network: Path, save: Save) -> None:
    even, skewed = np.arange(COUNT) % CLASSES, np.where(np.arange(COUNT) % 10 < 8, 2, 1)
    pixels = pictures(COUNT, seed=500, classes=skewed)

    assert "class_imbalance" not in ailments(see(network, save(pixels, even)))
    assert "class_imbalance" in ailments(see(network, save(pixels, skewed)))


def test_a_network_without_class_scores_is_told_what_cannot_be_examined(network: Path, save: Save) -> None:
    model = onnx.load(network)
    head = next(node for node in model.graph.node if node.name == "head")
    model.graph.node.remove(head)
    del model.graph.output[:]
    model.graph.output.append(onnx.helper.make_tensor_value_info("means", onnx.TensorProto.FLOAT, ["batch", 24, 3, 3]))
    path = network.with_name("headless.onnx")
    onnx.save(model, path)

    report = see(path, save(np.ascontiguousarray(pictures(COUNT, seed=600)[..., ::-1])))

    unseen = {check.ailment for check in report.checks if check.verdict == "not examined"}
    assert unseen == {"range", "normalisation", "channel_order", "class_imbalance", "out_of_distribution"}
    assert (report.findings, report.confidence) == ((), None)


@pytest.mark.parametrize("name", [None, "not scaled", "scaled twice", "not normalised", "blue first", "reshaped"])
def test_batch_norms_tell_what_no_scores_can(headless: Path, save: Save, name: str | None) -> None:
    ailment, harm, preprocess = HARMED_PIXELS[name] if name else (None, lambda pixels: pixels, {})

    report = see(headless, save(np.ascontiguousarray(harm(pictures(128, seed=650)))), **preprocess)

    assert ailments(report) == ([ailment] if ailment else [])
    unseen = {check.ailment for check in report.checks if check.verdict == "not examined"}
    assert unseen == {"class_imbalance", "out_of_distribution"}


def test_a_recipe_of_the_other_layout_is_told(network: Path, save: Save) -> None:
    report = see(network, save(pictures(COUNT, seed=700)), layout="NHWC")

    assert ailments(report) == ["layout"]
    assert report.findings[0].recipe == {"preprocess": {"layout": "NCHW"}}


def test_images_of_another_size_are_refused_as_a_job_would(network: Path, save: Save) -> None:
    with pytest.raises(CalibrationMismatch, match="16"):
        see(network, save(np.zeros((9, 3, 20, 24), np.float32) + np.arange(24, dtype=np.float32) / 7))


def test_few_images_raise_no_alarm(network: Path, save: Save) -> None:
    report = see(network, save(pictures(4, seed=800)))

    assert report.findings == ()
    assert any(check.verdict == "not examined" for check in report.checks)
