"""What a method may look at when it judges the units of a network."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from engine.allowance import AMPLE, Allowance
from engine.data.images import ImageSet
from engine.graph.heads import Rotation
from engine.graph.model import Model
from engine.graph.units import Unit
from engine.recipe import Deploy
from engine.recovery.reference import Reference
from engine.subject import Subject


@dataclass(frozen=True)
class Study:
    """The uncut network, the units that may go, images to repair from and a reference on images that judge.

    `compute` says where forward passes run; it is not where latency is measured. `subject` is the whole job's, for
    methods that look at the upload or train; `worked_out` keeps what a method needs more than once. `rotations`, by
    group, are those that the heads of `model` have been through: of those groups the last channels go first.
    `allowance` is how much of the usual work the budget allows, `judges` how many images may judge, of which those of
    `reference` do wherever nothing else is said.
    """

    model: Model
    units: tuple[Unit, ...]
    repair: ImageSet
    reference: Reference
    compute: Deploy
    seed: int
    subject: Subject | None = None
    worked_out: dict[str, Any] = field(default_factory=dict)
    rotations: Mapping[str, Rotation] = field(default_factory=dict)
    allowance: Allowance = AMPLE
    judges: int = 0
