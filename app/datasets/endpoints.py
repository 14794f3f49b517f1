"""`/v1/datasets`: uploaded sets of images, each under a name, and what the doctor says of them."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Query as Parameter
from fastapi import Response
from pydantic import ValidationError
from sqlalchemy.orm import Session

from app.answers import json_answer
from app.datasets.schemas import ReportView
from app.deps import Reader
from app.errors import Problem
from app.openapi import problems, told
from app.stored_files import DATASETS, require_usable, stored_files_router
from core.db import Record
from core.examinations import ask
from core.tables import StoredModel
from engine.recipe import Preprocess

router = stored_files_router(DATASETS)

ModelId = Annotated[str, Parameter(max_length=64, description="For which network the images are to be judged.")]
PreprocessText = Annotated[
    str | None,
    Parameter(
        max_length=2000,
        description="How the recipe would prepare the images, as JSON: its key `preprocess`. Absent: the defaults.",
        examples=['{"mean": [0.5], "std": [0.5]}'],
    ),
]


@router.get(
    "/{dataset_id}/report",
    name="get_dataset_report",
    response_model=ReportView,
    responses=problems("not-found", "quota-exceeded", "model-rejected", "dataset-rejected")
    | {202: {"model": ReportView, "description": "A worker is at it: ask again."} | told("Retry-After")},
)
async def get_report(dataset_id: str, tenant: Reader, model_id: ModelId, preprocess: PreprocessText = None) -> Response:
    """Show what the calibration doctor finds in a dataset, read for one network as one recipe would.

    The first to ask has a worker look, which takes seconds; the answer is kept. While it is made the status is 202.
    """
    recipe = {"preprocess": _read(preprocess).model_dump(mode="json")}
    view = await tenant.look(lambda session, project: _report(session, project, dataset_id, model_id, recipe))
    if view["state"] == "done":
        return json_answer(view)
    tenant.services.job_written.set()
    return json_answer(view, 202, {"Retry-After": "1"})


def _read(preprocess: str | None) -> Preprocess:
    if preprocess is None:
        return Preprocess()
    try:
        return Preprocess.model_validate_json(preprocess)
    except ValidationError as error:
        first = error.errors()[0]
        detail = f"{'.'.join(str(part) for part in first['loc']) or 'preprocess'}: {first['msg']}"
        place = {"parameter": "preprocess", "code": first["type"].replace("_", "-"), "detail": detail}
        raise Problem("validation-failed", f"preprocess: {detail}", errors=[place]) from error


def _report(session: Session, project_id: str, dataset_id: str, model_id: str, recipe: dict[str, Any]) -> Record:
    """Return the report as far as it is, and have it made where nobody has asked yet."""
    require_usable(session, project_id, model_id, dataset_id)
    model = session.get_one(StoredModel, model_id)
    if model.architecture:
        recipe = recipe | {"architecture": model.architecture}
    row = ask(session, project_id, "report", model_id=model_id, dataset_id=dataset_id, recipe=recipe)
    return {
        "dataset_id": dataset_id,
        "model_id": model_id,
        "state": row.state,
        "error": row.error,
        "report": row.answer,
        "created_at": row.created_at,
        "finished_at": row.finished_at,
    }
