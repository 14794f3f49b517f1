"""What an estimate says of images is what a job would do with them: the law is held to the engine's own loader."""

from __future__ import annotations

import io
import itertools
import zipfile
from pathlib import Path
from typing import Any

import httpx2
import numpy as np
import pytest
from PIL import Image

from app.estimates.images import misfit
from core.tables import Dataset
from engine.data.calibration import load_images
from engine.doctor.survey import survey
from engine.errors import CalibrationMismatch
from engine.graph.model import TensorInfo
from engine.recipe import Preprocess
from tests.app.running import Service, make_model
from tests.app.test_models import ANALYSIS, SURVEY, examine, make_dataset

TAKES: list[tuple[int | str, ...]] = [(3, 8, 8), (1, 8, 8), (4, 8, 8), (3, "h", "w"), (8, 8, 3), (3, 8, 6), (64,)]
FLOATS = [(3, 8, 8), (1, 8, 8), (8, 8, 3), (3, 16, 16), (3, 8, 6), (8, 8), (64,), (4, 8, 8)]
PIXELS = [(8, 8, 3), (8, 8, 1), (8, 8, 4), (16, 16, 3), (8, 6, 3), (6, 8, 3), (12, 20, 1)]
SIZES = [(8, 8), (16, 16), (8, 6), (6, 8), (12, 20)]
KEYS: list[dict[str, Any]] = [{}, {"resize": 8}, {"crop": 8}, {"resize": 10, "crop": 8}]


def job_says(path: Path, takes: tuple[int | str, ...], preprocess: Preprocess) -> str | None:
    try:
        load_images(path, TensorInfo("image", "float32", ("batch", *takes)), preprocess, seed=0)
    except CalibrationMismatch as error:
        return error.message
    return None


def estimate_says(path: Path, takes: tuple[int | str, ...], preprocess: Preprocess) -> str | None:
    inputs = [{"name": "image", "dtype": "float32", "shape": ["batch", *takes]}]
    return misfit({"inputs": inputs}, preprocess, survey(path).model_dump(mode="json"), path.name)


def disagreements(path: Path) -> list[tuple[object, ...]]:
    found: list[tuple[object, ...]] = []
    for takes, keys in itertools.product(TAKES, KEYS):
        layout = "NHWC" if takes == (8, 8, 3) else "NCHW"
        # The order is named, for whether a set is grey or coloured is another question than how large it is.
        order = {1: "GRAY", 3: "RGB"}.get(3 if layout == "NHWC" else int(takes[0]))
        preprocess = Preprocess.model_validate({**keys, "layout": layout, "channel_order": order})
        said = estimate_says(path, takes, preprocess), job_says(path, takes, preprocess)
        if (said[0] is None) != (said[1] is None):
            found.append((takes, keys, *said))
    return found


@pytest.mark.parametrize("shape", FLOATS, ids=str)
def test_arrays_of_numbers_are_judged_as_a_job_would(shape: tuple[int, ...], tmp_path: Path) -> None:
    np.save(tmp_path / "images.npy", np.zeros((3, *shape), np.float32))

    assert disagreements(tmp_path / "images.npy") == []


@pytest.mark.parametrize("shape", PIXELS, ids=str)
def test_arrays_of_pixels_are_judged_as_a_job_would(shape: tuple[int, ...], tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (3, *shape), dtype=np.uint8)
    np.save(tmp_path / "images.npy", pixels)

    assert disagreements(tmp_path / "images.npy") == []


@pytest.mark.parametrize("shape", [shape for shape in PIXELS if shape[2] == 3], ids=str)
def test_pictures_are_judged_as_a_job_would(shape: tuple[int, ...], tmp_path: Path) -> None:
    assert disagreements(pictures(tmp_path, shape)) == []


@pytest.mark.parametrize("shapes", [*itertools.combinations(SIZES, 2)], ids=str)
def test_pictures_of_two_sizes_are_judged_as_a_job_would(shapes: tuple[tuple[int, int], ...], tmp_path: Path) -> None:
    """Any size will do for some networks, though one for all."""
    path = pictures(tmp_path, *((*shape, 3) for shape in shapes))
    said = estimate_says(path, (3, "h", "w"), Preprocess())

    assert disagreements(path) == []
    assert said is not None
    assert said.endswith(
        ' all must agree. Set "preprocess": {"resize": 256, "crop": 224}, or other sizes, in the recipe.'
    )


def pictures(folder: Path, *shapes: tuple[int, ...]) -> Path:
    generator = np.random.default_rng(0)
    with zipfile.ZipFile(folder / "images.zip", "w") as archive:
        for number, shape in enumerate(shapes):
            stream = io.BytesIO()
            Image.fromarray(generator.integers(0, 256, shape, dtype=np.uint8)).save(stream, "PNG")
            archive.writestr(f"{number}.png", stream.getvalue())
    return folder / "images.zip"


@pytest.mark.parametrize("key", ["kind", "smallest", "largest"])
@pytest.mark.parametrize("wrong", [..., None, "images", 7, [], [8, 8], [[8, 8, 3]], [0, 0, 3]], ids=str)
def test_of_a_set_whose_survey_cannot_be_read_nothing_is_said(key: str, wrong: object) -> None:
    inputs = [{"name": "image", "dtype": "float32", "shape": ["batch", 3, 16, 16]}]
    fitting = {} if key == "kind" else {"smallest": [16, 16, 3], "largest": [16, 16, 3]}
    summary = SURVEY | fitting | {key: wrong}
    if wrong is ...:
        del summary[key]

    told = [
        misfit({"inputs": inputs}, preprocess, summary, "set") for preprocess in (Preprocess(), Preprocess(resize=16))
    ]

    assert told == [None, None]
    assert misfit({"inputs": inputs}, Preprocess(), SURVEY, "set") is not None


def warnings(client: httpx2.Client, model_id: str, dataset_id: str, **recipe: Any) -> list[str]:
    body = {"model_id": model_id, "dataset_id": dataset_id, "recipe": recipe}
    return [text for text in client.post("/v1/estimates", json=body).json()["warnings"] if "images" in text]


def test_an_estimate_tells_of_images_that_its_job_would_refuse(service: Service, client: httpx2.Client) -> None:
    model_id = make_model(client)
    examine(service, ANALYSIS)
    dataset_id = make_dataset(client)
    unknown = warnings(client, model_id, dataset_id)
    examine(service, SURVEY | {"kind": "float array", "smallest": [3, 16, 16], "largest": [3, 16, 16]})

    (told,) = warnings(client, model_id, dataset_id)

    assert "still being examined" in unknown[0]
    assert told.startswith("A job would refuse these images. Image 'pictures.zip' is 3 x 16 x 16; ")
    assert "takes 3 x 8 x 8 (CHW). Arrays of floating point pass as they are: make them of that shape" in told


def test_an_estimate_says_nothing_of_images_that_nobody_will_examine(service: Service, client: httpx2.Client) -> None:
    """Datasets from before there were examinations are ready, and have no survey."""
    model_id = make_model(client)
    examine(service, ANALYSIS)
    dataset_id = make_dataset(client)
    examine(service, SURVEY)
    with service.database.transaction() as session:
        session.get_one(Dataset, dataset_id).summary = None

    assert warnings(client, model_id, dataset_id) == []


def test_an_estimate_says_nothing_of_images_that_fit(service: Service, client: httpx2.Client) -> None:
    model_id = make_model(client)
    examine(service, ANALYSIS)
    dataset_id = make_dataset(client)
    examine(service, SURVEY | {"largest": [30, 40, 3]})

    told = [warnings(client, model_id, dataset_id, preprocess=keys) for keys in ({}, {"resize": 8, "crop": 8})]

    assert len(told[0]) == 1
    assert '"resize": 8, "crop": 8' in told[0][0]
    assert told[1] == []
