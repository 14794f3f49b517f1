"""The SDK: every call of the service as a method. Transfers resume, posts happen once, problems are raised."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote

import httpx2

from client.checkups import Checkups
from client.connection import Connection
from client.downloads import download
from client.errors import UsageError
from client.packing import packed, packed_model
from client.resources import Artifact, Candidate, Job, read_artifact, read_candidate, read_job
from client.tenancy import Keys, Projects
from client.uploads import Advance, upload
from client.webhooks import Webhooks

DEFAULT_SERVER = "http://127.0.0.1:8080"
LONG_POLL_SECONDS = 20
SHORTEST_POLL_SECONDS = 0.5


class Client:
    """Talk to one service with one key; close it, or use it in a `with` statement.

    `patience_seconds` is how long the server may be silent before a call gives up; restarts are waited out within it.
    """

    def __init__(
        self,
        server: str | None = None,
        key: str | None = None,
        *,
        patience_seconds: float = 120.0,
        on_trouble: Callable[[str], None] | None = None,
        transport: httpx2.BaseTransport | None = None,
    ) -> None:
        found_key = key or os.environ.get("SECATEUR_KEY")
        if not found_key:
            raise UsageError(
                "No key was given.",
                what_to_do="Set --key or SECATEUR_KEY. The service prints its admin key at its first start.",
            )
        self.connection = Connection(
            server or os.environ.get("SECATEUR_SERVER") or DEFAULT_SERVER,
            found_key,
            patience_seconds=patience_seconds,
            on_trouble=on_trouble,
            transport=transport,
        )
        self.webhooks = Webhooks(self.connection)
        self.checkups = Checkups(self.connection)
        self.projects = Projects(self.connection)
        self.keys = Keys(self.connection)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self.connection.close()

    def upload_model(self, path: Path, *, on_bytes: Advance | None = None) -> str:
        """Upload a trained network, with the `.onnx.data` file beside it if there is one, and return its model id."""
        with packed_model(path) as file:
            upload_id = upload(self.connection, file, kind="model", on_bytes=on_bytes)
            return self._post_id("/v1/models", upload_id, file.name)

    def upload_dataset(self, path: Path, *, on_bytes: Advance | None = None) -> str:
        """Upload calibration images (folder, .zip, .npz, .npy) and return their dataset id."""
        with packed(path) as file:
            upload_id = upload(self.connection, file, kind="dataset", on_bytes=on_bytes)
            return self._post_id("/v1/datasets", upload_id, file.name)

    def _post_id(self, path: str, upload_id: str, name: str) -> str:
        return str(self.connection.post(path, {"upload_id": upload_id, "name": name}).json()["id"])

    def submit(
        self,
        model_id: str,
        dataset_id: str | None = None,
        recipe: Mapping[str, Any] | None = None,
        *,
        labels: Mapping[str, str] | None = None,
        priority: int = 0,
        deadline: datetime | None = None,
        idempotency_key: str | None = None,
    ) -> Job:
        """Ask for a job; without a dataset it is data-free. An `idempotency_key` makes it once across processes.

        `priority`, -100 to 100, is among the project's own jobs. A job that nobody has begun by its `deadline`, a
        moment with a time zone, expires.
        """
        body = {
            "model_id": model_id,
            "dataset_id": dataset_id,
            "recipe": dict(recipe or {}),
            "labels": dict(labels or {}),
            "priority": priority,
            "deadline": None if deadline is None else deadline.isoformat(),
        }
        return read_job(self.connection.post("/v1/jobs", body, idempotency_key=idempotency_key).json())

    def job(self, job_id: str) -> Job:
        return read_job(self._get(_job_path(job_id)))

    def jobs(
        self, *, state: str | None = None, labels: Mapping[str, str] | None = None, page_size: int = 50
    ) -> Iterator[Job]:
        """Yield the project's jobs, newest first, fetching pages as they are needed; `labels` must all fit."""
        parameters: dict[str, Any] = {"page_size": page_size} | ({"state": state} if state else {})
        if labels:
            parameters["label"] = [f"{name}={value}" for name, value in labels.items()]
        return (read_job(raw) for raw in self.connection.pages("/v1/jobs", "jobs", parameters))

    def follow(self, job_id: str) -> Iterator[Job]:
        """Yield the job now and after every change, until it is terminal; a restart of the server does not end it."""
        etag: str | None = None
        while True:
            asked_at = time.monotonic()
            headers = {} if etag is None else {"Prefer": f"wait={LONG_POLL_SECONDS}", "If-None-Match": etag}
            response = self.connection.request(
                "GET", _job_path(job_id), headers=headers, timeout=LONG_POLL_SECONDS + 15
            )
            if response.status_code != 304:
                job = read_job(response.json())
                yield job
                if job.is_terminal:
                    return
                etag = response.headers.get("ETag")
            # A server that answers at once must not be asked in a tight loop.
            time.sleep(max(0.0, SHORTEST_POLL_SECONDS - (time.monotonic() - asked_at)))

    def cancel(self, job_id: str) -> Job:
        return read_job(self.connection.post(f"{_job_path(job_id)}/cancel", {}).json())

    def retry(self, job_id: str) -> Job:
        """Ask for a new job with the same recipe on the same files; the old one stays as it is."""
        return read_job(self.connection.post(f"{_job_path(job_id)}/retry", {}).json())

    def pause(self, job_id: str) -> Job:
        """Hold a job; it keeps what it has done so far."""
        return read_job(self.connection.post(f"{_job_path(job_id)}/pause", {}).json())

    def resume(self, job_id: str) -> Job:
        """Let a paused job go on."""
        return read_job(self.connection.post(f"{_job_path(job_id)}/resume", {}).json())

    def delete(self, job_id: str) -> dict[str, Any]:
        """Delete a job that has ended, with its files; return the receipt, empty from a server that gives none."""
        response = self.connection.request("DELETE", _job_path(job_id))
        return dict(response.json()) if response.content else {}

    def report(self, job_id: str) -> dict[str, Any]:
        return self._get(f"{_job_path(job_id)}/report")

    def report_page(self, job_id: str) -> str:
        """Return the report as one page of HTML that needs nothing else."""
        headers = {"Accept": "text/html"}
        return self.connection.request("GET", f"{_job_path(job_id)}/report", headers=headers).text

    def compare(self, job_id: str, other_job_id: str) -> dict[str, Any]:
        """Return two jobs side by side: what was asked and what came of it."""
        return self._get(f"{_job_path(job_id)}/compare/{quote(other_job_id, safe='')}")

    def log(self, job_id: str) -> str:
        return self.connection.request("GET", f"{_job_path(job_id)}/log").text

    def manifest(self, job_id: str) -> bytes:
        """Return the signed account of a job, for `verify_manifest`."""
        return self.connection.request("GET", f"{_job_path(job_id)}/manifest").content

    def signing_keys(self) -> dict[str, Any]:
        """Return the public keys that manifests of this service are signed with."""
        return self._get("/v1/signing-keys")

    def events(self, job_id: str, *, after: int = 0) -> list[dict[str, Any]]:
        """Return the job's history after event number `after`."""
        return list(self._get(f"{_job_path(job_id)}/events", {"after": after})["events"])

    def artifacts(self, job_id: str) -> list[Artifact]:
        return [read_artifact(raw) for raw in self._get(f"{_job_path(job_id)}/artifacts")["artifacts"]]

    def candidates(self, job_id: str) -> list[Candidate]:
        """Return the networks of a front, from the slowest to the fastest; none where the job was no front."""
        return [read_candidate(raw) for raw in self._get(f"{_job_path(job_id)}/candidates")["candidates"]]

    def download(self, artifact: Artifact, destination: Path, *, on_bytes: Advance | None = None) -> Path:
        """Write an artifact to a path, resuming after cuts; its sha256 is checked before the file appears."""
        return download(self.connection, artifact, destination, on_bytes=on_bytes)

    def methods(self) -> list[dict[str, Any]]:
        return list(self._get("/v1/methods")["methods"])

    def limits(self) -> dict[str, Any]:
        return self._get("/v1/limits")

    def _get(self, path: str, parameters: Mapping[str, Any] | None = None) -> dict[str, Any]:
        answer: dict[str, Any] = self.connection.request("GET", path, params=dict(parameters or {})).json()
        return answer


def _job_path(job_id: str) -> str:
    """Return a job's address; an id that is none cannot lead elsewhere."""
    return f"/v1/jobs/{quote(job_id, safe='')}"
