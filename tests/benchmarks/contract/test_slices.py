"""A small part of `python -m benchmarks.contract`, on a service in this process, with a job as a worker leaves it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.document.links import PARAMETER_OF_VIEW
from benchmarks.contract.site import Site
from benchmarks.contract.slices import Slice, run
from tests.app.dashboard.samples import sample_front
from tests.app.running import Service, finish_job, make_job, put_file, running_service, start_job
from tests.app.test_health import add_worker
from tests.conftest import make_settings


@pytest.fixture
def site(tmp_path: Path, sqlite_template: Path) -> Iterator[Site]:
    """The embedded default with a job that has succeeded, and an upload, a webhook, a project and a key."""
    shutil.copy(sqlite_template, tmp_path / "secateur.db")
    with running_service(make_settings(tmp_path, lease_seconds=600)) as service:
        add_worker(service)
        yield Site(service.url, service.key, _known(service))


def _known(service: Service) -> dict[str, list[str]]:
    with service.client() as client:
        job = make_job(client)
        finish_job(service, start_job(service, job["id"]), {"model.onnx": b"smaller"}, **_report())
        artifacts = client.get(f"/v1/jobs/{job['id']}/artifacts").json()["artifacts"]
        hook = client.post("/v1/webhooks", json={"url": "https://hooks.example.com/"}).json()
        return {
            "job_id": [job["id"]],
            "other_job_id": [job["id"]],
            "model_id": [job["model_id"]],
            "upload_id": [put_file(client)["id"]],
            "artifact_id": [artifact["id"] for artifact in artifacts],
            "webhook_id": [hook["id"]],
            "delivery_id": [client.post(f"/v1/webhooks/{hook['id']}/test").json()["id"]],
            "project_id": [client.post("/v1/projects", json={"name": "Line 4"}).json()["id"]],
            "name": ["latency", "units"],
        }


def _report() -> dict[str, object]:
    return sample_front().model_dump(mode="json")


def test_what_is_drawn_from_the_document_is_answered_as_it_says(site: Site) -> None:
    """Every operation is asked; the seed is fixed, so a failure comes again."""
    counted = run(site, Slice(seed=1, examples=1, phases=("examples", "stateful")))

    assert counted.failures == []
    assert counted.total >= 150
    assert {row["operation"] for row in counted.cases} >= {"POST /v1/jobs", "GET /v1/jobs/{job_id}/report"}
    assert all(row["status"] < 500 for row in counted.cases)
    assert set(site.known) <= {*PARAMETER_OF_VIEW.values(), "other_job_id", "name"}
