"""The whole of what is asked, with a default for every key."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from engine.recipe.inputs import Architecture, Preprocess
from engine.recipe.latency_table import LatencyTable
from engine.recipe.methods import METHODS, Auto, Method
from engine.recipe.strict import Number, Strict, Whole
from engine.recipe.targets import TARGETS, LatencyRatio, Target


class Deploy(Strict):
    """Where the result will run: latency is measured there and nowhere else."""

    provider: Literal["cpu", "cuda"] = "cpu"
    threads: Whole = Field(default=1, ge=1, le=256)
    batch: Whole = Field(default=1, ge=1, le=4096)


Synthesis = Literal["auto", "procedural", "inversion", "priors"]

OutputKind = Literal["fp32", "fp16", "int8"]
OUTPUT_KINDS: tuple[OutputKind, ...] = ("fp32", "fp16", "int8")


def _each_once(kinds: tuple[OutputKind, ...]) -> tuple[OutputKind, ...]:
    """Return the kinds in one order, with fp32 among them: the network itself is always delivered."""
    return tuple(kind for kind in OUTPUT_KINDS if kind == "fp32" or kind in kinds)


ControlName = Literal["scratch_e", "scratch_b"]


class Recipe(Strict):
    """One request: cut this network to that target, with these means."""

    target: Target = LatencyRatio()
    method: Method = Auto()
    preprocess: Preprocess = Preprocess()
    deploy: Deploy = Deploy()
    architecture: Architecture | None = Field(default=None, description="Needed for a file of bare weights only.")
    synthesis: Synthesis = Field(
        default="auto", description="How images are made where too few are sent; auto: by network and device."
    )
    outputs: Annotated[tuple[OutputKind, ...], Field(min_length=1, max_length=16), AfterValidator(_each_once)] = Field(
        default=("fp32",),
        description="Files to make of the delivered network: fp32 always, fp16 and int8 where they are named.",
    )
    controls: Annotated[tuple[ControlName, ...], Field(max_length=2)] = Field(
        default=(),
        description="Train the architecture that is found from random weights, too, to say what its weights are worth: "
        "scratch_e for control_epochs, scratch_b for as many as cost what those cost the original, at most twice as "
        "many. Needs labels, and takes half of the budget.",
    )
    control_epochs: Whole = Field(
        default=160, ge=1, le=1_000, description="Rounds of the labelled images that scratch_e trains for."
    )
    budget_seconds: Number = Field(default=600, ge=10, le=86_400, description="Wall-clock time for the whole job.")
    seed: Whole = Field(default=0, ge=0, lt=2**32)
    latency_table: LatencyTable | None = Field(
        default=None, description="A report's `latency_table`: nothing is timed anew to choose, so the same is chosen."
    )


_TAGS: dict[str | int, Collection[str]] = {"target": TARGETS, "method": METHODS}


def in_document(path: Sequence[str | int]) -> list[str]:
    """Return a path of pydantic's as it stands in a recipe: behind `target` and `method` it puts the branch's tag."""
    last = len(path) - 1
    return [
        str(step)
        for index, step in enumerate(path)
        if not (0 < index < last and step in _TAGS.get(path[index - 1], ()))
    ]
