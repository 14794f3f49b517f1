"""`/v1/jobs/{job_id}/manifest` and `/v1/signing-keys`: what was done, signed, and the keys to check it by."""

from __future__ import annotations

from fastapi import APIRouter, Response

from app.answers import json_answer
from app.artifacts.content import disposition
from app.deps import Reader
from app.errors import Problem
from app.manifests.schemas import ManifestView, SigningKeysList
from app.manifests.signing import Signer
from app.manifests.statement import as_bytes, statement
from app.openapi import heading, problems
from app.services import Services
from core.queries import artifacts_statement, job_files_statement, signing_keys_statement

router = APIRouter(prefix="/v1", tags=["manifests"])


@router.get(
    "/jobs/{job_id}/manifest",
    response_model=ManifestView,
    responses=heading(200, "Content-Disposition") | problems("not-found", "state-conflict"),
)
async def get_manifest(job_id: str, tenant: Reader) -> Response:
    """Sign what a job was made from and what it made: `secateur verify` checks it, and the files, offline."""
    job = await tenant.get(job_files_statement, "job", job_id, job_id=job_id)
    if job["state"] != "succeeded":
        message = f"Job {job_id} is {job['state']}. Only a job that has succeeded has something to vouch for."
        raise Problem("state-conflict", message, state=job["state"])
    signer = await _signer(tenant.services)
    payload = as_bytes(statement(job, await tenant.fetch_all(artifacts_statement, job_id=job_id)))
    headers = {"Content-Disposition": disposition(f"{job_id}.manifest.json"), "Cache-Control": "private, no-cache"}
    return json_answer(signer.envelope(payload), headers=headers)


@router.get("/signing-keys", response_model=SigningKeysList)
async def list_signing_keys(tenant: Reader) -> Response:
    """List the public keys that manifests of this service are and were signed with, the newest first."""
    signer = await _signer(tenant.services)
    rows = await tenant.services.database.fetch_all(signing_keys_statement())
    keys = [row | {"algorithm": "ed25519", "is_current": row["id"] == signer.key_id} for row in rows]
    return json_answer({"signing_keys": keys})


async def _signer(services: Services) -> Signer:
    """Return the service's key; at its first use its public half is written down."""
    signer = Signer(services.pepper)
    published = await services.database.fetch_all(signing_keys_statement())
    if signer.key_id not in {row["id"] for row in published}:
        await services.database.write(signer.publish)
    return signer
