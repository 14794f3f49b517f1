"""What an upload looks like from outside."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, StrictInt

from app.openapi import ProblemView
from app.uploads.kinds import Kind
from app.words import FileName, Sha256
from engine.recipe import Strict

PARTS_AT_ONCE = 100
PARTS_PER_UPLOAD = 10_000
"""S3 takes no more."""


class UploadRequest(Strict):
    """Ask for room for a file; its bytes follow with PATCH, or go to the store itself in parts."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"filename": "model.onnx", "size_bytes": 102400, "kind": "model"}]}
    )

    filename: FileName
    size_bytes: int | None = Field(
        default=None,
        strict=True,
        ge=1,
        description="The whole file; absent while it is not known. An empty file is refused.",
    )
    sha256: Sha256 | None = Field(default=None, description="If the project has these bytes, nothing need be sent.")
    kind: Kind | None = Field(default=None, description="Lets a file of another kind be refused by its first bytes.")


class UploadView(BaseModel):
    """One upload; `offset_bytes` of it are safely kept. What goes to the store in parts counts when it is whole."""

    id: str = Field(examples=["upl_01k9x3vt5h7r8e2m4q6s0w1y3z"])
    filename: str
    kind: Kind | None
    state: Literal["receiving", "complete", "failed"]
    size_bytes: int | None
    offset_bytes: int
    sha256: str | None
    complete: bool
    direct: bool = Field(description="Whether clients reach the store, so that parts may go there (POST …/parts).")
    error: ProblemView | None = Field(description="Why a failed upload takes no more.")
    created_at: datetime
    expires_at: datetime


class PartsRequest(Strict):
    """Ask for the addresses of some parts; part 1 is the first."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"part_numbers": [1, 2, 3, 4]}]})

    part_numbers: list[StrictInt] = Field(min_length=1, max_length=PARTS_AT_ONCE, examples=[[1, 2, 3, 4]])


class PartAddress(BaseModel):
    """Where to PUT one part: these bytes of the file and no others, with no header of ours."""

    part_number: int
    start_byte: int
    size_bytes: int
    url: str


class PartAddresses(BaseModel):
    part_bytes: int = Field(description="Of each part but the last.")
    part_count: int
    parts: list[PartAddress]
    expires_at: datetime = Field(description="Ask again for what was not put by then.")


class PartView(BaseModel):
    """A part that has arrived."""

    part_number: int
    size_bytes: int
    etag: str


class PartsList(BaseModel):
    part_bytes: int
    part_count: int
    parts: list[PartView]
