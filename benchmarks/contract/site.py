"""The service that is tried: a web process and a worker with the stand-in, and one of everything in it."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import httpx2

from benchmarks.contract.recording import RECIPE, record
from benchmarks.served import free_port, wait_for
from core.keys import new_key

Known = dict[str, list[str]]


class Site(NamedTuple):
    """Where the service is, the operator's key, and ids that it knows, by the names of the parameters they go into."""

    url: str
    key: str
    known: Known


@contextlib.contextmanager
def running_site(folder: Path) -> Iterator[Site]:
    """Start the two processes in a folder, make one of everything, and stop them at the end."""
    recording = folder / "recording"
    recording.mkdir()
    record(recording)
    port, key = free_port(), new_key()
    told = {"SECATEUR_DATA_DIR": str(folder / "data"), "SECATEUR_PORT": str(port), "SECATEUR_ADMIN_KEY": key}
    environment = os.environ | told | {"SECATEUR_WEB_DRAIN_SECONDS": "0", "SECATEUR_WORKER_DRAIN_SECONDS": "0"}
    subprocess.run([sys.executable, "-m", "app.prepare"], env=environment, check=True, stdout=subprocess.DEVNULL)
    with contextlib.ExitStack() as stack:
        for arguments in (["-m", "app"], ["-m", "benchmarks.contract.worker", str(recording)]):
            log = stack.enter_context((folder / f"{arguments[1]}.log").open("wb"))
            process = subprocess.Popen([sys.executable, *arguments], env=environment, stdout=log, stderr=log)
            stack.callback(process.wait, 60)
            stack.callback(process.terminate)
        wait_for(port, "/readyz")
        url = f"http://127.0.0.1:{port}"
        with httpx2.Client(base_url=url, headers={"Authorization": f"Bearer {key}"}, timeout=90) as client:
            yield Site(url, key, make_one_of_each(client, recording))


def make_one_of_each(client: httpx2.Client, recording: Path) -> Known:
    """Upload, name, run and tell: what most operations need before they have something to show."""
    uploads = [
        _put(client, recording / name, kind) for name, kind in (("model.onnx", "model"), ("pictures.zip", "dataset"))
    ]
    model = _post(client, "/v1/models", upload_id=uploads[0])
    dataset = _post(client, "/v1/datasets", upload_id=uploads[1])
    job = _post(client, "/v1/jobs", model_id=model["id"], dataset_id=dataset["id"], recipe=RECIPE)
    ended = client.get(f"/v1/jobs/{job['id']}", headers={"Prefer": "wait=60"}).json()
    if ended["state"] != "succeeded":
        raise RuntimeError(f"The job that all others stand on ended as {ended['state']}: {ended['error']}")
    artifacts = client.get(f"/v1/jobs/{job['id']}/artifacts").json()["artifacts"]
    candidates = client.get(f"/v1/jobs/{job['id']}/candidates").json()["candidates"]
    hook = _post(client, "/v1/webhooks", url="https://hooks.example.com/secateur")
    delivery = client.post(f"/v1/webhooks/{hook['id']}/test").json()
    return {
        "upload_id": [*uploads, _post(client, "/v1/uploads", filename="half.onnx", size_bytes=4096)["id"]],
        "model_id": [model["id"]],
        "dataset_id": [dataset["id"]],
        "job_id": [job["id"]],
        "other_job_id": [job["id"]],
        "artifact_id": [artifact["id"] for artifact in artifacts],
        "candidate_id": [candidate["id"] for candidate in candidates],
        "webhook_id": [hook["id"]],
        "delivery_id": [delivery["id"]],
        "project_id": [_post(client, "/v1/projects", name="Line 4")["id"]],
        "organization_id": [_post(client, "/v1/organizations", name="Example Ltd")["id"]],
        "key_id": [_post(client, "/v1/keys", name="ci")["id"]],
        "code": ["not-found", "nothing-to-cut"],
        "name": ["latency", "units"],
    }


def _put(client: httpx2.Client, path: Path, kind: str) -> str:
    params = {"filename": path.name, "kind": kind}
    return str(client.put("/v1/files", params=params, content=path.read_bytes()).raise_for_status().json()["id"])


def _post(client: httpx2.Client, path: str, **body: Any) -> dict[str, Any]:
    made: dict[str, Any] = client.post(path, json=body).raise_for_status().json()
    return made
