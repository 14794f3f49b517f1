"""A layer too large to be refitted weight by weight: which sums of its channels stand for those that it read before.

W' = B W for every tap and place alike, with B, (channels now, channels before), from the second moments of both. It has
no constant part, so it is as right at padded borders, where every channel is zero, as elsewhere.
The map is that of GRAIL, arXiv:2602.23795 (CPAL 2026); here inputs are the cut network's and targets the uncut one's,
as in He et al., "Channel Pruning for Accelerating Very Deep Neural Networks", 2017, arXiv:1707.06168.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from engine.graph.channels.remaining import narrowed
from engine.graph.edits import kind
from engine.graph.model import Model
from engine.graph.writers import Writer, channels_read, find_layer, is_transposed, output_channels
from engine.recovery.moments import Moments
from engine.recovery.questions import ChannelQuestion
from engine.recovery.ridge import best_answer

Array = npt.NDArray[Any]


def read_sums(model: Model, cut: Model, question: ChannelQuestion, fit: Moments, check: Moments) -> None:
    """Let a layer of `cut` read, in place, what stands for the channels that it read in `model`.

    Its weights stay as they are where no map is closer on `check` than each channel for itself.
    """
    channels = channels_read(cut, question.writer)
    alone = np.zeros((1, channels, fit.cross.shape[2]))
    alone[0, np.arange(channels), question.stay] = 1
    best = best_answer(fit, check, alone)
    if best is alone:
        return
    whole = find_layer(model.nodes()[question.writer.node])
    assert whole is not None
    by_channel = narrowed(weights_by_channel(model, whole), question.outputs_last)
    mixed = np.tensordot(best[0].astype(by_channel.dtype), by_channel, axes=1)
    _set_weights_by_channel(cut, question.writer, mixed)


def weights_by_channel(model: Model, writer: Writer) -> Array:
    """Return (channels, taps or places, outputs), a view where that is one."""
    weight, outputs = model.weight(writer.weight), output_channels(model, writer)
    node = model.nodes()[writer.node]
    if kind(node) == "Conv":
        return weight.reshape(outputs, weight.shape[1], -1).transpose(1, 2, 0)
    by_output = weight.T if is_transposed(node) else weight  # (inputs, outputs)
    return by_output.reshape(channels_read(model, writer), -1, outputs)


def _set_weights_by_channel(model: Model, writer: Writer, weights: Array) -> None:
    old, node = model.weight(writer.weight), model.nodes()[writer.node]
    if kind(node) == "Conv":
        new = weights.transpose(2, 0, 1)
    else:
        new = weights.reshape(-1, weights.shape[2])
        new = new.T if is_transposed(node) else new
    model.set_weight(writer.weight, np.ascontiguousarray(new.reshape(old.shape), old.dtype))
