"""What an upload looks like from outside."""

from __future__ import annotations

from datetime import datetime

from pydantic import BaseModel, Field

from app.words import FileName, Sha256
from engine.recipe import Strict


class UploadRequest(Strict):
    """Ask for room for a file; its bytes follow with PATCH."""

    filename: FileName
    size_bytes: int = Field(ge=1, description="The whole file. An empty file is refused.")
    sha256: Sha256 | None = Field(default=None, description="If the project has these bytes, nothing need be sent.")


class UploadView(BaseModel):
    """One upload; `offset_bytes` of it are safe on the server's disk."""

    id: str = Field(examples=["upl_01k9x3vt5h7r8e2m4q6s0w1y3z"])
    filename: str
    size_bytes: int | None
    offset_bytes: int
    sha256: str | None
    complete: bool
    created_at: datetime
    expires_at: datetime
