"""`/v1/jobs/{job_id}/candidates`: the front that a job delivered, from the slowest network to the fastest."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter, Response
from pydantic import ValidationError

from app.answers import json_answer
from app.candidates.schemas import CandidatesList, CandidateView
from app.deps import Reader, Tenant
from app.errors import Problem, not_found
from app.openapi import problems
from core.queries import artifacts_statement, job_report_statement
from engine.report import CandidateReport

router = APIRouter(prefix="/v1", tags=["candidates"], responses=problems("not-found"))


@router.get("/jobs/{job_id}/candidates", response_model=CandidatesList)
async def list_candidates(job_id: str, tenant: Reader) -> Response:
    """List the networks of a front with their figures; there are none before a job has succeeded or without a front."""
    return json_answer({"candidates": await _candidates(tenant, job_id)})


@router.get("/jobs/{job_id}/candidates/{candidate_id}", response_model=CandidateView)
async def get_candidate(job_id: str, candidate_id: str, tenant: Reader) -> Response:
    """Show one network of a front."""
    found = next((one for one in await _candidates(tenant, job_id) if one["id"] == candidate_id), None)
    if found is None:
        raise not_found("candidate of this job", candidate_id)
    return json_answer(found)


async def _candidates(tenant: Tenant, job_id: str) -> list[dict[str, Any]]:
    row = await tenant.get(job_report_statement, "job", job_id, job_id=job_id)
    artifacts = await tenant.fetch_all(artifacts_statement, job_id=job_id)
    ids = {artifact["name"]: artifact["id"] for artifact in artifacts}
    stored = (row["report"] or {}).get("candidates") or []
    return [_view(candidate, ids) for candidate in stored]


def _view(stored: dict[str, Any], ids: Mapping[str, str]) -> dict[str, Any]:
    try:
        found = CandidateReport.model_validate(stored)
    except ValidationError as error:
        message = "The report was written by another version of the service. Download report.json for its candidates."
        raise Problem("not-found", message) from error
    fidelity, artifact_id = found.fidelity, ids.get(found.file)
    accuracy = fidelity.accuracy.delivered if fidelity and fidelity.accuracy else None
    agreement = fidelity.agreement if fidelity else None
    return {
        "id": found.file.rpartition("/")[2].removesuffix(".onnx"),
        "name": found.file,
        "is_model": found.is_model,
        "units_cut": len(found.units),
        "latency_ratio": found.latency.ratio.model_dump(),
        "latency_ms_p50": found.latency.delivered.latency_ms_p50,
        "error": found.recovery.error_final,
        "agreement": agreement and agreement.model_dump(),
        "accuracy": accuracy and accuracy.model_dump(),
        "parameters": found.cost.parameters,
        "macs": found.cost.macs,
        "size_bytes": found.cost.size_bytes,
        "sha256": found.sha256,
        "artifact_id": artifact_id,
        "links": artifact_id and {"content": f"/v1/artifacts/{artifact_id}/content"},
    }
