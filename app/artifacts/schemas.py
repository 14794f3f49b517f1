"""What an artifact looks like from outside."""

from __future__ import annotations

from datetime import datetime

from pydantic import BaseModel, Field


class ArtifactLinks(BaseModel):
    content: str


class ArtifactView(BaseModel):
    """A file that a job delivered; `role` tells what it is for."""

    id: str
    name: str = Field(examples=["model.onnx"])
    role: str = Field(examples=["model", "report", "log", "output", "candidate", "plot"])
    media_type: str
    sha256: str
    size_bytes: int
    created_at: datetime
    links: ArtifactLinks


class ArtifactsList(BaseModel):
    artifacts: list[ArtifactView]
