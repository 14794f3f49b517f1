"""`/v1/estimates`: a dry run. The body of a job goes in, what the job would come to comes out, and nothing is made."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Response
from sqlalchemy.orm import Session

from app.answers import json_answer
from app.deps import Reader
from app.errors import Problem
from app.estimates import history
from app.estimates.images import misfit
from app.estimates.schemas import EstimateView
from app.estimates.sizes import Left, Range, predict, units_of
from app.jobs.fitting import require_fitting
from app.jobs.schemas import JobRequest
from app.jobs.service import QUEUE_OF_PROVIDER
from app.openapi import problems
from app.stored_files import require_usable
from core.tables import Dataset, FileState, StoredModel
from engine.inspection import applicability

router = APIRouter(prefix="/v1/estimates", tags=["estimates"])


@router.post(
    "",
    name="estimate_job",
    response_model=EstimateView,
    responses=problems("not-found", "state-conflict", "model-rejected", "dataset-rejected"),
)
async def estimate(tenant: Reader, asked: JobRequest) -> Response:
    """Say what a job with this body would come to: the network's size and latency, the job's time and its wait."""
    return json_answer(await tenant.look(lambda session, project_id: _estimate(session, project_id, asked)))


def _estimate(session: Session, project_id: str, asked: JobRequest) -> dict[str, Any]:
    require_usable(session, project_id, asked.model_id, asked.dataset_id)
    require_fitting(session, project_id, asked.model_id, asked.recipe)
    model = session.get_one(StoredModel, asked.model_id)
    if model.state == FileState.VALIDATING:
        found = f"Model {model.id} is still being examined. Ask again in a moment."
        raise Problem("state-conflict", found, headers={"Retry-After": "1"}, state=model.state)
    analysis, recipe = model.analysis or {}, asked.recipe
    past = history.on_this_model(session, project_id, model, recipe)
    device = QUEUE_OF_PROVIDER[recipe.deploy.provider]
    has_images, priority = asked.dataset_id is not None, asked.priority
    times = history.times(
        session, project_id, model.id, recipe, device=device, has_images=has_images, priority=priority
    )
    units = units_of(analysis)
    left = predict(recipe, units, past.original_ms)
    macs, parameters = analysis.get("macs"), analysis.get("parameters")
    return {
        "original": {
            "parameters": parameters,
            "macs": macs,
            "size_bytes": model.size_bytes,
            "latency_ms_p50": past.original_ms,
        },
        "predicted": {
            "parameters": _interval(left.parameters, parameters, whole=True),
            "macs": _interval(left.work, macs, whole=True),
            "size_bytes": _interval(left.parameters, model.size_bytes, whole=True),
            "latency_ratio": _interval(left.latency, 1.0),
            "latency_ms_p50": _interval(left.latency, past.original_ms),
        },
        "run": {"p50": times.run[0], "p90": times.run[1]},
        "queue": {"p50": times.queue[0], "p90": times.queue[1]},
        "queue_position": times.position,
        "device": device,
        "basis": {"past_jobs": times.past_jobs, "past_jobs_on_this_model": past.jobs, "units": len(units)},
        "warnings": _warnings(asked, analysis, past, times, left) + _of_images(session, asked, analysis),
    }


def _interval(part: Range | None, of: float | None, *, whole: bool = False) -> dict[str, float] | None:
    if part is None or of is None:
        return None
    digits = None if whole else 4
    return {name: round(value, digits) for name, value in part.times(of)._asdict().items()}


def _warnings(
    asked: JobRequest, analysis: dict[str, Any], past: history.Past, times: history.Times, left: Left
) -> list[str]:
    found = []
    if not analysis:
        found.append("The network has not been read: its file holds weights alone. Name its architecture with it.")
    method = asked.recipe.method.name
    told = applicability(analysis, method)
    if told is not None and not told.applies:
        found.append(f"The method '{method}' does not apply: {told.blocked_by.message if told.blocked_by else ''}")
    if not times.served:
        found.append(f"No worker serves the device of this job now ({asked.recipe.deploy.provider}).")
    if not times.past_jobs:
        found.append("No job of this kind has ended well yet: the time is the budget, and the bound its end.")
    if left.latency is None:
        found.append("No job has measured this network yet, so its milliseconds are not known.")
    if past.missed_by is not None and past.missed_by > 1.05:
        found.append(f"Earlier jobs on this network came out {100 * (past.missed_by - 1):.0f} % slower than asked.")
    if asked.dataset_id is None:
        found.append("Without a dataset the repair uses drawn images; real ones repair it better.")
    return found


def _of_images(session: Session, asked: JobRequest, analysis: dict[str, Any]) -> list[str]:
    """Say what a job would only say when it has waited: that its images do not fit the network.

    Nothing is said of images that are older than examinations.
    """
    if asked.dataset_id is None or asked.recipe.architecture is not None:
        return []
    dataset = session.get_one(Dataset, asked.dataset_id)
    if dataset.state == FileState.VALIDATING:
        return ["The images are still being examined: whether they fit the network is not known yet."]
    refusal = misfit(analysis, asked.recipe.preprocess, dataset.summary or {}, dataset.name)
    return [] if refusal is None else [f"A job would refuse these images. {refusal}"]
