"""The whole road in one call: upload, submit, follow, download, verify."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from client.client import Client
from client.errors import JobFailed
from client.progress import Progress
from client.resources import Artifact, Candidate, Job

FRONT_FILES = {"model": "model.onnx", "report": "report.json", "plot": "front.svg"}
"""Role -> what its file is called in the folder of a front, beside the folder `candidates`."""


OUTPUTS = {f"outputs/{kind}.onnx": kind for kind in ("fp16", "int8")}
"""Further files of a model, by the service's name -> what the ending of ours says of it."""


@dataclass(frozen=True)
class Delivery:
    """A finished job, its report, and where its model was written; `outputs` and the rest of a front lie beside it."""

    job: Job
    report: dict[str, Any]
    model: Path
    front: tuple[Candidate, ...] = ()
    outputs: tuple[Path, ...] = ()


def compress(
    client: Client, model: Path, calibration: Path | None, recipe: Mapping[str, Any], output: Path, progress: Progress
) -> Delivery:
    """Bring the files to the service, wait for the job and write its model; raise JobFailed when there is none."""
    job = submit_files(client, model, calibration, recipe, progress)
    return collect(client, job.id, output, progress)


def submit_files(
    client: Client,
    model: Path,
    calibration: Path | None,
    recipe: Mapping[str, Any],
    progress: Progress,
    *,
    labels: Mapping[str, str] | None = None,
    priority: int = 0,
    deadline: datetime | None = None,
) -> Job:
    """Upload what the server does not know yet and submit one job."""
    with progress.transfer(f"uploading {model.name}") as on_bytes:
        model_id = client.upload_model(model, on_bytes=on_bytes)
    dataset_id = None
    if calibration is not None:
        with progress.transfer(f"uploading {calibration.name}") as on_bytes:
            dataset_id = client.upload_dataset(calibration, on_bytes=on_bytes)
    return client.submit(model_id, dataset_id, recipe, labels=labels, priority=priority, deadline=deadline)


def collect(client: Client, job_id: str, output: Path, progress: Progress) -> Delivery:
    """Follow a job to its end and write its model to `output`, or a whole front into the folder of that name."""
    job = follow(client, job_id, progress)
    if job.state != "succeeded":
        raise JobFailed(job.error, job.id)
    if job.is_front:
        return _collect_front(client, job, folder_of(output), progress)
    artifacts = client.artifacts(job.id)
    _fetch(client, next(artifact for artifact in artifacts if artifact.role == "model"), output, progress)
    return Delivery(job, client.report(job.id), output, outputs=_fetch_outputs(client, artifacts, output, progress))


def folder_of(output: Path) -> Path:
    """Return where a front goes: pruned.onnx means the folder pruned."""
    return output.with_suffix("") if output.suffix == ".onnx" else output


def _collect_front(client: Client, job: Job, folder: Path, progress: Progress) -> Delivery:
    """Write the model, the report, the picture and each candidate; how a file is called here is ours to say."""
    artifacts = client.artifacts(job.id)
    for artifact in artifacts:
        if artifact.role in FRONT_FILES:
            _fetch(client, artifact, folder / FRONT_FILES[artifact.role], progress)
    candidates, by_id = client.candidates(job.id), {artifact.id: artifact for artifact in artifacts}
    for number, candidate in enumerate(candidates, start=1):
        if candidate.artifact_id in by_id:
            _fetch(client, by_id[candidate.artifact_id], folder / "candidates" / f"{number:02}.onnx", progress)
    model = folder / FRONT_FILES["model"]
    outputs = _fetch_outputs(client, artifacts, model, progress)
    return Delivery(job, client.report(job.id), model, tuple(candidates), outputs)


def _fetch_outputs(client: Client, artifacts: list[Artifact], model: Path, progress: Progress) -> tuple[Path, ...]:
    """Write further files of the model beside it: pruned.onnx has a pruned.int8.onnx."""
    written = []
    for artifact in artifacts:
        if artifact.role == "output" and artifact.name in OUTPUTS:
            written.append(model.with_name(f"{model.name.removesuffix('.onnx')}.{OUTPUTS[artifact.name]}.onnx"))
            _fetch(client, artifact, written[-1], progress)
    return tuple(written)


def _fetch(client: Client, artifact: Artifact, destination: Path, progress: Progress) -> None:
    with progress.transfer(f"downloading {destination.name}") as on_bytes:
        client.download(artifact, destination, on_bytes=on_bytes)


def follow(client: Client, job_id: str, progress: Progress) -> Job:
    """Show a job until it is terminal, and return it as it ended."""
    with progress.job() as show:
        for job in client.follow(job_id):
            show(job)
    return job
