"""What an estimate looks like from outside."""

from __future__ import annotations

from pydantic import BaseModel, Field

from engine.report import Interval


class Original(BaseModel):
    """The network as it was sent. `latency_ms_p50` is as an earlier job measured it, null where none has."""

    parameters: int | None
    macs: int | None
    size_bytes: int
    latency_ms_p50: float | None


class Predicted(BaseModel):
    """The network as it would come back; null where nothing tells. Intervals are wide where little is known."""

    parameters: Interval | None
    macs: Interval | None
    size_bytes: Interval
    latency_ratio: Interval | None
    latency_ms_p50: Interval | None


class Seconds(BaseModel):
    """Half of all such jobs keep `p50`, nine of ten keep `p90`; null where nothing is known."""

    p50: float | None
    p90: float | None


class Basis(BaseModel):
    """What the estimate rests on: how many jobs of this kind, and how many on this network, have ended well."""

    past_jobs: int
    past_jobs_on_this_model: int
    units: int


class EstimateView(BaseModel):
    """What a job with this body would come to. Nothing was made by asking.

    `run` is from its start to its end, `queue` from now to its start. `queue_position` is where it would stand.
    """

    original: Original
    predicted: Predicted
    run: Seconds
    queue: Seconds
    queue_position: int = Field(examples=[1])
    device: str
    basis: Basis
    warnings: list[str]
