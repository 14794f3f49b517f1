"""`/v1/models`: uploaded networks, each under a name, and what a worker found out about them."""

from __future__ import annotations

from fastapi import Response
from sqlalchemy import bindparam, select

from app.answers import json_answer
from app.deps import Reader
from app.models.schemas import AnalysisView
from app.openapi import heading, problems
from app.stored_files import MODELS, stored_files_router
from core.db import Query
from core.tables import FileState, StoredModel

router = stored_files_router(MODELS)

_analysis_statement = Query(
    select(StoredModel.id, StoredModel.state, StoredModel.analysis, StoredModel.error).where(
        StoredModel.project_id == bindparam("project_id"), StoredModel.id == bindparam("file_id")
    )
)


@router.get(
    "/{model_id}/analysis",
    response_model=AnalysisView,
    responses=heading(200, "Retry-After") | problems("not-found"),
)
async def get_analysis(model_id: str, tenant: Reader) -> Response:
    """Show what can be cut from a network, which methods apply, what stands in the way, and why it was rejected.

    While a worker is at it, `state` is `validating` and `Retry-After` says when to look again.
    """
    row = await tenant.get(_analysis_statement, "model", model_id, file_id=model_id)
    view = {"model_id": row["id"], "state": row["state"], "error": row["error"], "analysis": row["analysis"]}
    return json_answer(view, headers={"Retry-After": "1"} if row["state"] == FileState.VALIDATING else None)
