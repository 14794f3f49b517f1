"""The whole road in one call: upload, submit, follow, download, verify."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from client.client import Client
from client.errors import JobFailed
from client.progress import Progress
from client.resources import Job


@dataclass(frozen=True)
class Delivery:
    """A finished job, its report, and where its model was written."""

    job: Job
    report: dict[str, Any]
    model: Path


def compress(
    client: Client, model: Path, calibration: Path | None, recipe: Mapping[str, Any], output: Path, progress: Progress
) -> Delivery:
    """Bring the files to the service, wait for the job and write its model; raise JobFailed when there is none."""
    job = submit_files(client, model, calibration, recipe, progress)
    return collect(client, job.id, output, progress)


def submit_files(
    client: Client, model: Path, calibration: Path | None, recipe: Mapping[str, Any], progress: Progress
) -> Job:
    """Upload what the server does not know yet and submit one job."""
    with progress.transfer(f"uploading {model.name}") as on_bytes:
        model_id = client.upload_model(model, on_bytes=on_bytes)
    dataset_id = None
    if calibration is not None:
        with progress.transfer(f"uploading {calibration.name}") as on_bytes:
            dataset_id = client.upload_dataset(calibration, on_bytes=on_bytes)
    return client.submit(model_id, dataset_id, recipe)


def collect(client: Client, job_id: str, output: Path, progress: Progress) -> Delivery:
    """Follow a job to its end and write its model to `output`."""
    job = follow(client, job_id, progress)
    if job.state != "succeeded":
        raise JobFailed(job.error, job.id)
    artifact = next(artifact for artifact in client.artifacts(job.id) if artifact.role == "model")
    with progress.transfer(f"downloading {output.name}") as on_bytes:
        client.download(artifact, output, on_bytes=on_bytes)
    return Delivery(job, client.report(job.id), output)


def follow(client: Client, job_id: str, progress: Progress) -> Job:
    """Show a job until it is terminal, and return it as it ended."""
    with progress.job() as show:
        for job in client.follow(job_id):
            show(job)
    return job
