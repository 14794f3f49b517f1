"""A layer too large to be refitted weight by weight: which sums of its channels stand for those that it read before.

W' = B W for every tap and place alike, with B, (channels now, channels before), from the second moments of both. It has
no constant part, so it is as right at padded borders, where every channel is zero, as elsewhere.
The map is GRAIL's; here inputs are the cut network's and targets the uncut one's, as in He et al., 2017.
"""

from __future__ import annotations

import numpy as np

from engine.graph.channels.remaining import Positions
from engine.graph.model import Model
from engine.graph.writers import Writer, channels_read, find_layer, has_bias
from engine.recovery.moments import Moments
from engine.recovery.questions import ChannelQuestion
from engine.recovery.ridge import RIDGES, Weights, ridge_regression, weights_of


def mapped_weights(model: Model, cut: Model, question: ChannelQuestion, fit: Moments, check: Moments) -> Weights:
    """Return the weights with which a layer of `cut` reads what stands for the channels that it read in `model`.

    They stay as they are where no map is closer on `check` than each channel for itself.
    """
    whole, channels = find_layer(model.nodes()[question.writer.node]), channels_read(cut, question.writer)
    assert whole is not None
    alone = np.zeros((channels, fit.cross.shape[2]))
    alone[np.arange(channels), question.stay] = 1
    maps = [ridge_regression(fit, alone[None], ridge) for ridge in RIDGES]
    best = min([*maps, alone[None]], key=check.residual)[0]
    by_channel = weights_by_channel(model, whole, question.outputs)
    start = weights_of(cut, question.writer)
    if np.array_equal(best, alone):
        return start
    numbers = start.shape[1] - (1 if has_bias(cut, question.writer) else 0)
    mixed = (best @ by_channel).reshape(1, numbers, start.shape[2])
    return np.concatenate([mixed, start[:, numbers:]], axis=1)  # a bias stays what it is


def weights_by_channel(model: Model, writer: Writer, outputs: Positions = ()) -> Weights:
    """Return (channels, the weights of all taps, places and outputs of each), of these outputs alone."""
    weights = weights_of(model, writer)[0]
    for _, stay in outputs:
        weights = weights[:, stay]
    channels = channels_read(model, writer)
    numbers = len(weights) - (1 if has_bias(model, writer) else 0)
    return np.asarray(weights[:numbers].reshape(channels, -1))
