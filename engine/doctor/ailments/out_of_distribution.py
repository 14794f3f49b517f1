"""Images of another kind than the network was made for.

A network knows its own kind by what it loses when they are turned, coloured falsely or cut into pieces: of what it has
never learnt it was not sure before. No figure from its training is needed for that.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from engine.data.sureness import Answer
from engine.diagnosis import Finding
from engine.doctor.case import Case, Look, Pixels

LOSS_LEAST: Final = 0.42
"""Mean loss of margin over the views, in deviations of the paired differences."""

LOSS_MOST: Final = 0.8
"""What one view may count: handwriting in pieces is another thing to any network, and that makes it no photograph."""

PIECES: Final = 4


def look(case: Case) -> Look:
    """Compare the images with views of themselves that no network is trained for."""
    pixels, scaling = case.ready()
    case.scores()  # the statistics of batch norms do not tell foreign photographs from the network's own
    before = case.answer()
    views = {"turned": pixels.transpose(0, 2, 1, 3), "upside_down": pixels[:, ::-1], "in_pieces": _in_pieces(pixels)}
    if pixels.shape[-1] == 3:
        views["swapped"] = pixels[..., ::-1]
    if pixels.shape[1] != pixels.shape[2]:
        del views["turned"]
    losses = {name: _loss(before, case.ask(name, view, scaling)) for name, view in views.items()}
    mean = float(np.mean([min(loss, LOSS_MOST) for loss in losses.values()]))
    figures = {"loss": round(mean, 3)} | {f"loss_{name}": round(value, 3) for name, value in losses.items()}
    if mean >= LOSS_LEAST:
        return Look(figures)
    message = (
        f"The network takes little notice whether the images are turned, falsely coloured or in pieces "
        f"(mean confidence {before.confidence or 0:.2f}): they may be of another kind than it was trained for."
    )
    fix = (
        "Send images like those that the network will see in use. If these are, and it is right on them, go on: "
        "gray or simple pictures look much the same to a network however they are turned."
    )
    return Look(figures, Finding(ailment="out_of_distribution", message=message, fix=fix, recipe=None))


def _loss(before: Answer, after: Answer) -> float:
    lost: npt.NDArray[np.float64] = before.margins - after.margins
    return float(lost.mean() / max(float(lost.std()), 1e-9))


def _in_pieces(pixels: Pixels) -> Pixels:
    """Return the images cut into 16 pieces that lie in another order, the same for all."""
    count, height, width, channels = pixels.shape
    tall, wide = height // PIECES, width // PIECES
    if not tall or not wide:
        return pixels[:, ::-1, ::-1]
    cut = pixels[:, : tall * PIECES, : wide * PIECES].reshape(count, PIECES, tall, PIECES, wide, channels)
    pieces = cut.transpose(0, 1, 3, 2, 4, 5).reshape(count, PIECES**2, tall, wide, channels)
    pieces = pieces[:, np.random.default_rng(1).permutation(PIECES**2)]
    whole = pieces.reshape(count, PIECES, PIECES, tall, wide, channels).transpose(0, 1, 3, 2, 4, 5)
    found = pixels.copy()
    found[:, : tall * PIECES, : wide * PIECES] = whole.reshape(count, tall * PIECES, wide * PIECES, channels)
    return found
