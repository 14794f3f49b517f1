"""`/v1/files` and `/v1/uploads`: raw bodies in, by the draft "Resumable Uploads for HTTP" where they may be cut off."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response
from sqlalchemy.orm import Session

from app.answers import json_answer
from app.deps import Reader, Tenant, Writer
from app.envelope import lift_body_limit
from app.idempotency import Answer, once
from app.openapi import BINARY_BODY, IDEMPOTENT, PART_BODY, problems
from app.uploads import service
from app.uploads.arrival import append_part, receive_whole
from app.uploads.digests import declared_sha256
from app.uploads.receive import too_large
from app.uploads.schemas import UploadRequest, UploadView
from app.words import FileName
from core.db import Record

router = APIRouter(tags=["uploads"], responses=problems(401, 403, 413, 422))


@router.put(
    "/v1/files", status_code=201, response_model=UploadView, responses=problems(408, 507), openapi_extra=BINARY_BODY
)
async def put_file(request: Request, tenant: Writer, filename: Annotated[FileName, Query()]) -> Response:
    """Send a whole file in one request, as `curl -T` does; what is cut off is forgotten."""
    lift_body_limit(request)
    upload = await receive_whole(tenant, request, filename, declared_sha256(request.headers))
    return json_answer(service.upload_view(upload), 201, {"Location": f"/v1/uploads/{upload['id']}"})


@router.post(
    "/v1/uploads", status_code=201, response_model=UploadView, responses=problems(409), openapi_extra=IDEMPOTENT
)
async def create_upload(request: Request, tenant: Writer, asked: UploadRequest) -> Response:
    """Begin a resumable upload; with a sha256 that the project has, it is complete at once."""
    settings = tenant.services.settings
    if asked.size_bytes > settings.max_upload_bytes:
        raise too_large(settings.max_upload_bytes)

    def work(session: Session, project_id: str) -> Answer:
        upload = service.create(session, project_id, asked, settings.upload_max_age_seconds)
        return Answer(201, service.upload_view(upload), f"/v1/uploads/{upload['id']}")

    response = await once(tenant, request, asked.model_dump(), work)
    response.headers["Upload-Limit"] = _limits(tenant)
    return response


@router.get("/v1/uploads/{upload_id}", response_model=UploadView, responses=problems(404))
async def get_upload(upload_id: str, tenant: Reader) -> Response:
    """Tell how far an upload has come."""
    upload = await _upload(tenant, upload_id)
    return json_answer(service.upload_view(upload), headers=_standing(upload))


@router.head("/v1/uploads/{upload_id}", status_code=204, responses=problems(404))
async def head_upload(upload_id: str, tenant: Reader) -> Response:
    """Tell the offset to go on from. A request that is still writing is ended first, so that the offset stays true."""
    await _upload(tenant, upload_id)
    await tenant.services.turns.interrupt(upload_id)
    upload = await _upload(tenant, upload_id)
    return Response(status_code=204, headers=_standing(upload) | {"Upload-Limit": _limits(tenant)})


@router.patch(
    "/v1/uploads/{upload_id}",
    response_model=UploadView,
    responses=problems(404, 408, 409, 415, 507) | {204: {"description": "Kept; more is to come."}},
    openapi_extra=PART_BODY,
)
async def append_to_upload(request: Request, upload_id: str, tenant: Writer) -> Response:
    """Append bytes at `Upload-Offset`; 204 while more is to come, 200 once the file is complete."""
    lift_body_limit(request)
    await _upload(tenant, upload_id)
    upload = await append_part(tenant, request, upload_id)
    if upload["completed_at"] is None:
        return Response(status_code=204, headers=_standing(upload))
    return json_answer(service.upload_view(upload), headers=_standing(upload))


@router.delete("/v1/uploads/{upload_id}", status_code=204, responses=problems(404))
async def delete_upload(upload_id: str, tenant: Writer) -> Response:
    """Forget an upload; models and datasets made from it stay."""
    await _upload(tenant, upload_id)
    await service.remove(tenant, upload_id)
    return Response(status_code=204)


async def _upload(tenant: Tenant, upload_id: str) -> Record:
    return await tenant.get(service.upload_statement, "upload", upload_id, upload_id=upload_id)


def _standing(upload: Record) -> dict[str, str]:
    is_complete = upload["completed_at"] is not None
    headers = {"Upload-Offset": str(upload["offset_bytes"]), "Upload-Complete": "?1" if is_complete else "?0"}
    if upload["size_bytes"] is not None:
        headers["Upload-Length"] = str(upload["size_bytes"])
    return headers | {"Cache-Control": "no-store"}


def _limits(tenant: Tenant) -> str:
    settings = tenant.services.settings
    return f"max-size={settings.max_upload_bytes}, max-age={settings.upload_max_age_seconds}"
