"""The table of ways to make images where too few are sent; one file a way, from the cheapest to the dearest."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from engine.data.images import ImageSet
from engine.data.rungs.inversion import invert
from engine.data.rungs.priors import imagine
from engine.data.rungs.procedural import draw
from engine.data.site import Site


@dataclass(frozen=True)
class Rung:
    """`make` takes the site, the user's images and how many to make, and returns as many or, out of time, fewer."""

    number: int
    make: Callable[[Site, ImageSet, int], ImageSet]


RUNGS: dict[str, Rung] = {
    "procedural": Rung(1, draw),
    "inversion": Rung(2, invert),
    "priors": Rung(3, imagine),
}
