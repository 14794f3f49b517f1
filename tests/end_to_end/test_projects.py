"""Two projects side by side: neither sees, changes or uses anything of the other's."""

from __future__ import annotations

from collections.abc import Iterator

import httpx2
import pytest

from client import Job
from tests.end_to_end import samples
from tests.end_to_end.deployments import Deployment
from tests.end_to_end.words import User


@pytest.fixture(scope="module")
def stranger(deployment: Deployment, http: httpx2.Client) -> Iterator[httpx2.Client]:
    """Somebody who may do everything in another project of the same organisation."""
    project = http.post("/v1/projects", json={"name": "other"}).json()
    made = http.post(f"/v1/projects/{project['id']}/keys", json={"name": "other", "scopes": ["admin"]})
    with deployment.http(made.json()["key"]) as client:
        yield client


def test_what_is_another_project_s_is_not_there(
    http: httpx2.Client, stranger: httpx2.Client, user: User, finished: Job
) -> None:
    (artifact, *_) = http.get(f"/v1/jobs/{finished.id}/artifacts").json()["artifacts"]
    job = f"/v1/jobs/{finished.id}"
    reads = [job, f"{job}/events", f"{job}/log", f"{job}/report", f"{job}/manifest", f"{job}/artifacts"]
    reads += [f"/v1/models/{user.model_id}", f"/v1/datasets/{user.dataset_id}", artifact["links"]["content"]]
    writes = [f"{job}/cancel", f"{job}/retry", f"{job}/pause"]

    mine = [http.get(path).status_code for path in reads]
    theirs = [stranger.get(path) for path in reads] + [stranger.post(path) for path in writes] + [stranger.delete(job)]

    assert mine == [200] * len(reads)
    assert {(answer.status_code, answer.json()["code"]) for answer in theirs} == {(404, "not-found")}
    assert stranger.get("/v1/jobs").json()["jobs"] == stranger.get("/v1/models").json()["models"] == []


def test_nothing_of_another_project_s_is_put_to_use(http: httpx2.Client, stranger: httpx2.Client, user: User) -> None:
    """The bytes are the same and known to the service: they have to be sent all the same, for they prove nothing."""
    content = samples.residual_network()

    submitted = stranger.post("/v1/jobs", json={"model_id": user.model_id})
    sent = stranger.put("/v1/files", params={"filename": "own.onnx"}, content=content).json()
    own = stranger.post("/v1/models", json={"upload_id": sent["id"]}).json()

    assert submitted.status_code == 404
    assert own["id"] != user.model_id
    assert http.get(f"/v1/models/{own['id']}").status_code == 404
    assert http.post("/v1/jobs", json={"model_id": own["id"]}).status_code == 404
