"""What a candidate looks like from outside."""

from __future__ import annotations

from pydantic import BaseModel, Field

from app.artifacts.schemas import ArtifactLinks
from engine.report import Interval


class CandidateView(BaseModel):
    """One network of a front, in figures; the report has all of them.

    `latency_ratio` is measured, over the original's. `error` is the relative error of the features on held-out images,
    by which, with the latency, the front was chosen. `is_model` marks the one that is the job's model, too.
    """

    id: str = Field(examples=["01"])
    name: str = Field(examples=["candidates/01.onnx"])
    is_model: bool
    units_cut: int
    latency_ratio: Interval
    latency_ms_p50: float
    error: float
    agreement: Interval | None
    accuracy: Interval | None
    parameters: int
    macs: int
    size_bytes: int
    sha256: str
    artifact_id: str | None
    links: ArtifactLinks | None


class CandidatesList(BaseModel):
    candidates: list[CandidateView]
