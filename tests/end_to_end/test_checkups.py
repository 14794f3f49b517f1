"""Before any job: what a network offers, what is wrong with images, and what a job would come to."""

from __future__ import annotations

import numpy as np

from tests.end_to_end import samples
from tests.end_to_end.words import RECIPE, User


def test_a_network_s_analysis_names_what_can_go(user: User) -> None:
    found = user.client.checkups.analysis(user.model_id)

    analysis = found["analysis"]
    assert found["state"] == "ready"
    assert len([unit for unit in analysis["units"] if unit["kind"] == "branch"]) == samples.BLOCKS
    assert all(unit["macs"] > 0 for unit in analysis["units"] if unit["kind"] == "branch")
    assert any(method["applies"] for method in analysis["methods"])


def test_the_doctor_sees_copies(user: User) -> None:
    pictures = np.random.default_rng(0).integers(0, 256, (24, 8, 8, 1), dtype=np.uint8)
    pictures[::2] = pictures[1::2]
    path = user.folder / "copies.npy"
    np.save(path, pictures)

    report = user.client.checkups.doctor(user.model_id, user.client.upload_dataset(path))

    assert "duplicates" in [finding["ailment"] for finding in report["findings"]]
    assert report["images"] == 24


def test_an_estimate_makes_nothing(user: User) -> None:
    before = len(list(user.client.jobs()))

    found = user.client.checkups.estimate(user.model_id, user.dataset_id, RECIPE)

    assert found["predicted"]["macs"]["low"] <= found["predicted"]["macs"]["value"] <= found["original"]["macs"]
    assert found["run"]["p90"] >= found["run"]["p50"] > 0
    assert len(list(user.client.jobs())) == before
