"""`/v1/files` and `/v1/uploads`: raw bodies in, whole or resumable, or parts that go to the store itself."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from app.answers import json_answer
from app.deps import Reader, Resumer, Writer
from app.envelope import lift_body_limit
from app.openapi import BINARY_BODY, CREATION, PART_BODY, UPLOAD_SHOWN, Responses, heading, problems, told
from app.uploads import direct, draft, service, tus
from app.uploads.dialects import DialectRoute
from app.uploads.digests import declared_sha256
from app.uploads.kinds import Kind
from app.uploads.schemas import PartAddresses, PartsList, PartsRequest, UploadRequest, UploadView
from app.uploads.whole import receive_whole
from app.words import FileName

router = APIRouter(tags=["uploads"], route_class=DialectRoute)

BYTES = (
    "bad-request",
    "quota-exceeded",
    "request-timeout",
    "upload-too-large",
    "unsupported-format",
    "upload-empty",
    "upload-length-mismatch",
    "digest-mismatch",
    "storage-unavailable",
    "server-stopping",
    "storage-full",
)
"""Why bytes can be refused, whichever way they come."""

LIMITED = (*UPLOAD_SHOWN, "Upload-Limit")
MORE_TO_COME: Responses = {204: {"description": "Kept; more is to come."} | told(*UPLOAD_SHOWN)}
PIECE = (*BYTES, "upload-offset-mismatch", "upload-taken-over", "state-conflict", "upload-failed", "checksum-mismatch")
STORE = ("not-found", "state-conflict", "direct-upload-unavailable", "upload-failed", "storage-unavailable")


@router.put(
    "/v1/files",
    status_code=201,
    response_model=UploadView,
    responses=problems(*BYTES),
    openapi_extra=BINARY_BODY,
)
async def put_file(
    request: Request,
    tenant: Writer,
    filename: Annotated[FileName, Query()],
    kind: Annotated[Kind | None, Query(description="Refuses another kind of file by its first bytes.")] = None,
) -> Response:
    """Send a whole file in one request, as `curl -T` does; what is cut off is forgotten."""
    lift_body_limit(request)
    asked = UploadRequest(filename=filename, kind=kind, sha256=declared_sha256(request.headers))
    upload = await receive_whole(tenant, request, asked)
    return json_answer(service.upload_view(tenant.services, upload), 201, {"Location": f"/v1/uploads/{upload['id']}"})


@router.options(
    "/v1/uploads",
    name="tell_upload_limits",
    status_code=204,
    responses=heading(204, "Accept-Patch", "Upload-Limit"),
)
async def tell_limits(tenant: Reader) -> Response:
    """Tell the limits of uploads, and what is spoken: the draft "Resumable Uploads for HTTP", and tus."""
    headers = {"Accept-Patch": draft.PART_TYPE, "Upload-Limit": draft.limits(tenant)}
    return Response(status_code=204, headers=headers | tus.options(tenant.services.settings.max_upload_bytes))


@router.post(
    "/v1/uploads",
    status_code=201,
    response_model=UploadView,
    responses=heading(201, *LIMITED) | problems(*PIECE),
    openapi_extra=CREATION,
)
async def create_upload(request: Request, tenant: Writer, asked: UploadRequest) -> Response:
    """Begin a resumable upload; with a sha256 that the project has, it is complete at once.

    With the header `Upload-Complete` the content is the file's, or its beginning, and what the JSON would say is told
    by `Upload-Length`, `Repr-Digest`, `Content-Disposition` and the query.
    """
    response = await draft.begin(tenant, request, asked)
    response.headers["Upload-Limit"] = draft.limits(tenant)
    return response


@router.get(
    "/v1/uploads/{upload_id}", response_model=UploadView, responses=heading(200, *UPLOAD_SHOWN) | problems("not-found")
)
async def get_upload(upload_id: str, tenant: Reader) -> Response:
    """Tell how far an upload has come."""
    upload = await service.upload_row(tenant, upload_id)
    return json_answer(service.upload_view(tenant.services, upload), headers=draft.standing(upload))


@router.head(
    "/v1/uploads/{upload_id}",
    status_code=204,
    responses=heading(204, *LIMITED) | problems("not-found", "upload-failed"),
)
async def head_upload(upload_id: str, tenant: Resumer) -> Response:
    """Tell the offset to go on from, also to a key that may only write.

    A request that is still writing is ended first, so that the offset stays true.
    """
    return await draft.tell_offset(tenant, upload_id)


@router.patch(
    "/v1/uploads/{upload_id}",
    response_model=UploadView,
    responses=problems(*PIECE, "not-found", "upload-completed", "unsupported-media-type")
    | heading(200, *LIMITED, "Location")
    | MORE_TO_COME,
    openapi_extra=PART_BODY,
)
async def append_to_upload(request: Request, upload_id: str, tenant: Writer) -> Response:
    """Append bytes at `Upload-Offset`; 204 while more is to come, 200 once the file is complete."""
    await service.upload_row(tenant, upload_id)
    return await draft.append_part(request, tenant, upload_id)


@router.delete("/v1/uploads/{upload_id}", status_code=204, responses=problems("not-found"))
async def delete_upload(upload_id: str, tenant: Writer) -> Response:
    """Forget an upload; models and datasets made from it stay."""
    await service.remove(tenant, await service.upload_row(tenant, upload_id))
    return Response(status_code=204)


@router.post("/v1/uploads/{upload_id}", include_in_schema=False)
async def post_to_upload(upload_id: str, tenant: Writer) -> Response:
    """Refuse what only tus gives a meaning."""
    await service.upload_row(tenant, upload_id)
    raise tus.no_method()


@router.post(
    "/v1/uploads/{upload_id}/parts",
    response_model=PartAddresses,
    responses=problems(*STORE, "upload-completed"),
)
async def sign_parts(upload_id: str, tenant: Writer, asked: PartsRequest | None = None) -> Response:
    """Return addresses in the store, one for each part, to PUT the file's bytes to.

    Without a body, for the first hundred parts that have not arrived. Only where files are kept in S3.
    """
    numbers = None if asked is None else asked.part_numbers
    return json_answer(await direct.addresses(tenant, upload_id, numbers), headers={"Cache-Control": "no-store"})


@router.get("/v1/uploads/{upload_id}/parts", response_model=PartsList, responses=problems(*STORE))
async def list_parts(upload_id: str, tenant: Reader) -> Response:
    """List the parts that have arrived in the store."""
    return json_answer(await direct.arrived(tenant, upload_id), headers={"Cache-Control": "no-store"})


@router.post(
    "/v1/uploads/{upload_id}/complete",
    response_model=UploadView,
    responses=heading(200, *UPLOAD_SHOWN)
    | problems(*STORE, "unsupported-format", "upload-length-mismatch", "digest-mismatch", "storage-full"),
)
async def complete_upload(upload_id: str, tenant: Writer) -> Response:
    """Join the parts in the store, read them to check size, kind and sha256, and answer when the file is stored.

    That takes as long as reading does. Whoever has not waited for the answer asks again.
    """
    upload = await direct.complete(tenant, upload_id)
    return json_answer(service.upload_view(tenant.services, upload), headers=draft.standing(upload))
