"""The times that a plan was chosen by, as a report gives them and a recipe may give them back."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from engine.recipe.strict import Finite, Number, Strict, Whole

_Names = Annotated[tuple[Annotated[str, Field(max_length=1000)], ...], Field(max_length=10_000)]


class UnitTimes(Strict):
    """Cuts of one kind, and the part of the original's latency that the loss of each saves, with its 95 % interval."""

    units: _Names
    share: Finite
    low: Finite
    high: Finite


class PlanTime(Strict):
    """What was lost together, and the part of the original's latency that this was measured to save."""

    units: _Names
    saving: Finite


class LatencyTable(Strict):
    """The times that a plan was chosen by. Given back with a recipe, the same seed chooses the same plan.

    `prices` counts the sets of cuts whose harm was asked, `spare_prices` those for plans that were corrected when no
    others were left; `width_multiple` is what widths are multiples of, None where nobody asked; `plain_ratio` is what
    the plain form takes of the upload's time before any cut; `is_coarse` says that it is of a job whose time was short,
    in which no set is priced and groups of channels are not timed one by one; `environment` is where it was measured,
    as in the report.
    """

    original_ms: Finite = Field(gt=0)
    units: tuple[UnitTimes, ...] = Field(max_length=10_000)
    plans: tuple[PlanTime, ...] = Field(default=(), max_length=1_000)
    prices: Whole = Field(default=0, ge=0, le=10_000)
    spare_prices: Whole = Field(default=0, ge=0, le=10_000)
    width_multiple: Whole | None = Field(default=None, ge=1, le=1024)
    plain_ratio: Number = Field(default=1.0, gt=0, le=1)
    is_coarse: bool = False
    environment: dict[Annotated[str, Field(max_length=64)], Annotated[str, Field(max_length=1000)] | int | None] = (
        Field(default={}, max_length=32)
    )
