"""How small or how fast the result is to be: one of TARGETS, told by its key."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BeforeValidator, Discriminator, Field, Tag
from pydantic_core import PydanticCustomError

from engine.recipe.strict import Finite, Number, Strict, Whole, refuse_unknown_keys

Ratio = Annotated[Number, Field(gt=0, lt=1)]
Agreement = Annotated[Number | None, Field(default=None, ge=0, le=1)]


class LatencyRatio(Strict):
    """Measured p50 of the result over that of the original: 0.7 turns 10 ms into 7 ms."""

    latency_ratio: Ratio = 0.7
    min_agreement: Agreement = None


class LatencyMs(Strict):
    """Measured p50 of the result in milliseconds, at the recipe's batch and threads."""

    latency_ms: Finite = Field(gt=0)
    min_agreement: Agreement = None


class MacsRatio(Strict):
    """Multiply-accumulates of the result over those of the original; says nothing about the clock."""

    macs_ratio: Ratio
    min_agreement: Agreement = None


class ParametersRatio(Strict):
    """Parameters of the result over those of the original; says nothing about the clock."""

    parameters_ratio: Ratio
    min_agreement: Agreement = None


class Units(Strict):
    """Number of units to remove, whatever that brings."""

    units: Whole = Field(ge=1, le=10_000)
    min_agreement: Agreement = None


class Pareto(Strict):
    """A front from one job: so many networks, each faster than the one before it at the price of more error.

    All of them are delivered. `model.onnx` is the fastest whose agreement holds the floor, or without a floor the knee.
    """

    pareto: Whole = Field(ge=2, le=16)
    min_agreement: Agreement = None


TARGETS: dict[str, type[Strict]] = {
    "latency_ratio": LatencyRatio,
    "latency_ms": LatencyMs,
    "macs_ratio": MacsRatio,
    "parameters_ratio": ParametersRatio,
    "units": Units,
    "pareto": Pareto,
}


def _exactly_one_target(value: Any) -> Any:
    """Refuse a target with an unknown key, with none of TARGETS or with several."""
    if isinstance(value, tuple(TARGETS.values())):
        return value
    if not isinstance(value, dict):
        raise PydanticCustomError("target", "A target is an object such as {like}.", {"like": '{"latency_ratio": 0.7}'})
    refuse_unknown_keys(value, [*TARGETS, "min_agreement"])
    found = [key for key in value if key in TARGETS]
    if len(found) != 1:
        message = "A target has exactly one of {known}; found {found}."
        raise PydanticCustomError("target", message, {"known": ", ".join(TARGETS), "found": ", ".join(found) or "none"})
    return value


def _target_kind(value: Any) -> str | None:
    """Tell which target is meant by its one key."""
    if isinstance(value, dict):
        return next((key for key in value if key in TARGETS), None)
    return next((kind for kind, target in TARGETS.items() if isinstance(value, target)), None)


Target = Annotated[
    Annotated[LatencyRatio, Tag("latency_ratio")]
    | Annotated[LatencyMs, Tag("latency_ms")]
    | Annotated[MacsRatio, Tag("macs_ratio")]
    | Annotated[ParametersRatio, Tag("parameters_ratio")]
    | Annotated[Units, Tag("units")]
    | Annotated[Pareto, Tag("pareto")],
    Discriminator(_target_kind),
    BeforeValidator(_exactly_one_target),
]
