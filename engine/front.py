"""Which candidates make a front, and which of them is the model: latency against error, both measured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from engine.report import Interval


@dataclass(frozen=True)
class Measured:
    """One candidate: latency over the original's, held-out feature error, and agreement on the test images, if known.

    Less is better in the first two, and they alone say who dominates whom. The agreement of some dozen images takes
    steps of points, and to choose by the test images would be to train on them.
    """

    ratio: Interval
    error: float
    agreement: float | None = None


@dataclass(frozen=True)
class Choice:
    """Places among the candidates: `kept` from the slowest to the fastest, why each other went, and which is the model.

    Where none is kept, `model` is the fastest that was tried.
    """

    kept: tuple[int, ...]
    dropped: Mapping[int, str]
    model: int
    why: str


ONE = Choice(kept=(), dropped={}, model=0, why="the only one")
"""The choice where one network was asked for and one was made: it is the model, and there is no front."""


def choose_front(found: Sequence[Measured], floor: float | None) -> Choice:
    """Keep who is surely faster than the original and not dominated; with a floor, agreement chooses the model."""
    faster = [place for place, one in enumerate(found) if one.ratio.high < 1]
    dropped = {place: "not surely faster than the original" for place in range(len(found)) if place not in faster}
    kept = []
    for place in faster:
        rival = best_rival(found, faster, place)
        if rival is None:
            kept.append(place)
        else:
            better = found[rival]
            dropped[place] = (
                f"another takes {better.ratio.value:.3f} of the latency with a feature error of {better.error:.3g}"
            )
    kept.sort(key=lambda place: -found[place].ratio.value)
    if not kept:
        return Choice((), dropped, min(range(len(found)), key=lambda place: found[place].ratio.value), "the fastest")
    return Choice(tuple(kept), dropped, *_model(found, kept, floor))


def best_rival(found: Sequence[Measured], among: Sequence[int], place: int) -> int | None:
    """Return who makes a candidate superfluous: nowhere worse, somewhere better; of equals the first one stays."""
    it = found[place]

    def beats(other: int) -> bool:
        one = found[other]
        if (one.ratio.value, one.error) == (it.ratio.value, it.error):
            return other < place
        return one.ratio.value <= it.ratio.value and one.error <= it.error

    return min((other for other in among if beats(other)), key=lambda other: found[other].error, default=None)


def _model(found: Sequence[Measured], kept: Sequence[int], floor: float | None) -> tuple[int, str]:
    if floor is None:
        return knee(found, kept), "the knee of the front"
    known = {place: agreement for place in kept if (agreement := found[place].agreement) is not None}
    holding = [place for place in kept if known.get(place, -1.0) >= floor]
    if holding:
        return holding[-1], f"the fastest that agrees on {floor:g} of unseen images"
    return max(kept, key=lambda place: known.get(place, -1.0)), "the one that agrees most"


def knee(found: Sequence[Measured], kept: Sequence[int]) -> int:
    """Return where most latency has been saved for the error that it costs.

    Both are brought to 0 to 1, from the original to the furthest of the front; the knee is where the part saved is most
    above the part of the error. With 0.8, 0.6 and 0.5 of the latency at errors 0.01, 0.02 and 0.10 it is the second.
    Satopää et al., "Finding a 'Kneedle' in a Haystack", 2011.
    """
    most_saved = max(1 - found[place].ratio.value for place in kept)
    most_error = max(*(found[place].error for place in kept), 1e-30)
    return max(kept, key=lambda p: (1 - found[p].ratio.value) / most_saved - found[p].error / most_error)
