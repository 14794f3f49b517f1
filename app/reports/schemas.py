"""What a comparison of two jobs looks like from outside. In every pair the job that was named first comes first."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, Field

from engine.report import Outcome


class ComparedJob(BaseModel):
    id: str
    model_id: str
    outcome: Outcome
    summary: str


class RecipeDifference(BaseModel):
    """A key of the recipe that the two have different values for; null where one has none."""

    key: str = Field(examples=["target.latency_ratio"])
    first: Any
    second: Any


class Figure(BaseModel):
    """One measure of both. Intervals are of 95 %; `is_sure` says that they do not touch, null where there are none."""

    name: str = Field(examples=["latency_ratio"])
    first: float | None
    second: float | None
    first_interval: tuple[float, float] | None
    second_interval: tuple[float, float] | None
    difference: float | None = Field(description="Second less first.")
    is_sure: bool | None


class UnitsCompared(BaseModel):
    """The removable units by name."""

    cut_in_both: list[str]
    cut_in_first_only: list[str]
    cut_in_second_only: list[str]
    kept_in_both: list[str]
    in_one_only: list[str] = Field(description="Units that the other job's network does not have.")


class ComparisonView(BaseModel):
    """Two jobs side by side; `warnings` say what makes the comparison less than fair."""

    first: ComparedJob
    second: ComparedJob
    recipe: list[RecipeDifference]
    figures: list[Figure]
    units: UnitsCompared
    warnings: list[str]
