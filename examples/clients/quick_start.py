"""The quick start with a Python client that was generated from the service's own document (docs/clients.md).

python quick_start.py http://127.0.0.1:8080 "$SECATEUR_KEY" model.onnx images.zip smaller.onnx
"""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path
from typing import TypeVar

from secateur_api import AuthenticatedClient
from secateur_api.api.artifacts import get_artifact_content, list_artifacts
from secateur_api.api.datasets import create_dataset
from secateur_api.api.jobs import create_job, get_job
from secateur_api.api.models import create_model
from secateur_api.api.uploads import put_file
from secateur_api.models import FromUpload, JobRequest, ModelFromUpload, ProblemView, PutFileKindType0, Recipe, Units
from secateur_api.types import File

T = TypeVar("T")


def main(url: str, key: str, model: Path, images: Path, out: Path) -> None:
    """Upload a network and images, have it made smaller, fetch what came of it and check its digest."""
    client = AuthenticatedClient(base_url=url, token=key, timeout=90)

    network, pictures = upload(client, model, "model"), upload(client, images, "dataset")
    named = told(create_model.sync(client=client, body=ModelFromUpload(upload_id=network)))
    dataset = told(create_dataset.sync(client=client, body=FromUpload(upload_id=pictures)))

    recipe = Recipe(target=Units(units=2), budget_seconds=30)
    asked = JobRequest(model_id=named.id, dataset_id=dataset.id, recipe=recipe)
    job = told(create_job.sync(client=client, body=asked, idempotency_key=f"quick-start-{named.id}"))
    while job.finished_at is None:
        job = told(get_job.sync(job.id, client=client, prefer="wait=30"))
    if job.error is not None:
        raise SystemExit(f"{job.error.code}: {job.error.detail}")

    files = told(list_artifacts.sync(job.id, client=client)).artifacts
    delivered = next(file for file in files if file.role == "model")
    content = told(get_artifact_content.sync(delivered.id, client=client)).payload.read()
    if hashlib.sha256(content).hexdigest() != delivered.sha256:
        raise SystemExit("The file is not the one that the service delivered.")
    out.write_bytes(content)
    print(json.dumps({"outcome": job.outcome, "sha256": delivered.sha256, "size_bytes": len(content)}))


def upload(client: AuthenticatedClient, path: Path, kind: str) -> str:
    """Send a file whole and return its upload's id."""
    with path.open("rb") as opened:
        body = File(payload=opened, file_name=path.name)
        return told(put_file.sync(client=client, body=body, filename=path.name, kind=PutFileKindType0(kind))).id


def told(answer: T | ProblemView | None) -> T:
    """Return the answer; a refusal says what was found and what to do."""
    if answer is None:
        raise SystemExit("The service answered nothing that its document knows.")
    if isinstance(answer, ProblemView):
        raise SystemExit(f"{answer.code}: {answer.detail}")
    return answer


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], *map(Path, sys.argv[3:6]))
