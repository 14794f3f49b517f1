"""`/v1/keys`: made once, shown once, taken back within a second.

Making one takes no Idempotency-Key: the stored answer would hold the key.
"""

from __future__ import annotations

from fastapi import APIRouter, Response

from app.deps import Id, KeysAdmin
from app.keys import service
from app.keys.schemas import KeyRequest, KeysList, NewKeyView
from app.openapi import problems

router = APIRouter(prefix="/v1/keys", tags=["keys"])


@router.get("", response_model=KeysList)
async def list_keys(tenant: KeysAdmin) -> Response:
    """List the project's keys, those taken back too."""
    return await service.list_all(tenant)


@router.post("", status_code=201, response_model=NewKeyView)
async def create_key(tenant: KeysAdmin, asked: KeyRequest) -> Response:
    """Make a key for this project."""
    return await service.create(tenant, asked)


@router.delete("/{key_id}", status_code=204, responses=problems("not-found", "state-conflict"))
async def revoke_key(key_id: Id, tenant: KeysAdmin) -> Response:
    """Take a key back; within a second it opens nothing more."""
    return await service.revoke(tenant, key_id)
