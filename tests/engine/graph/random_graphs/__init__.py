"""Random valid graphs for the laws of surgery: a list of named steps, each with a seed, makes the same graph each time.

To add a step, write a function from the draft and a value to a new value, and name it in the table.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from engine.graph.model import Model
from tests.engine.graph.random_graphs import joins, maps, tokens
from tests.engine.graph.random_graphs.draft import Draft

Step = Callable[[Draft, str], str]

MAP_STEPS: dict[str, Step] = {
    "batch_norm": maps.batch_norm,
    "broadcast": maps.broadcast,
    "channel_softmax": maps.channel_softmax,
    "concatenated_earlier": joins.concatenated_earlier,
    "conv": maps.conv,
    "conv_transpose": maps.conv_transpose,
    "convnext": maps.convnext,
    "dense": joins.dense,
    "depthwise": maps.depthwise,
    "einsum": maps.einsum,
    "elementwise": maps.elementwise,
    "gated_halves": joins.gated_halves,
    "gather": maps.gather,
    "group_norm": maps.group_norm,
    "grouped": maps.grouped,
    "instance_norm": maps.instance_norm,
    "inverted_residual": joins.inverted_residual,
    "joined_earlier": joins.joined_earlier,
    "maxout": maps.maxout,
    "pad": maps.pad,
    "parallel": joins.parallel,
    "pixel_shuffle": maps.pixel_shuffle,
    "pool": maps.pool,
    "pooled_context": maps.pooled_context,
    "projected_residual": joins.projected_residual,
    "reshape_chain": maps.reshape_chain,
    "residual": joins.residual,
    "selective_kernel": joins.selective_kernel,
    "shared_weights": joins.shared_weights,
    "shuffle": maps.shuffle,
    "sliced": maps.sliced,
    "spatial_gate": maps.spatial_gate,
    "split": joins.split,
    "split_and_shuffle": joins.split_and_shuffle,
    "squeeze_excite": maps.squeeze_excite,
    "summed_parts": joins.summed_parts,
}
TOKEN_STEPS: dict[str, Step] = {
    "attention": tokens.attention,
    "class_token": tokens.class_token,
    "gated": tokens.gated,
    "grouped_linear": tokens.grouped_linear,
    "linear": tokens.linear,
    "mlp": tokens.mlp,
    "native_attention": tokens.native_attention,
    "packed_attention": tokens.packed_attention,
    "patch_merging": tokens.patch_merging,
    "root_mean_square_norm": tokens.root_mean_square_norm,
    "token_mixing": tokens.token_mixing,
    "tokens_first_attention": tokens.tokens_first_attention,
    "windows": tokens.windows,
}
STEPS = {**MAP_STEPS, **TOKEN_STEPS}
OPSETS = (18, 20, 21, 23)

_CLASSES = 5


@dataclass(frozen=True)
class Plan:
    """All that a graph follows from; `steps` are names of STEPS, each with the seed of its own choices."""

    seed: int
    opset: int
    open_batch: bool
    steps: tuple[tuple[str, int], ...]


def grow(plan: Plan) -> Model:
    """Return the graph of a plan: a stem, the steps, and scores of all that nobody else reads."""
    draft = Draft(plan.seed, plan.opset, plan.open_batch)
    draft.made.append(draft.activation(draft.conv("image", draft.width(), kernel=3)))
    for name, seed in plan.steps:
        draft.fork(seed, name)
        x = draft.made[-1] if draft.random.random() < 0.8 else draft.random.choice(draft.made)
        draft.made.append(STEPS[name](draft, _as_map(draft, x) if name in MAP_STEPS else _as_tokens(draft, x)))
    return draft.model(_finish(draft))


def _finish(draft: Draft) -> list[str]:
    """Score what nobody reads; now and then, let a value inside be an output too."""
    draft.fork(len(draft.made), "head")
    read = {name for node in draft.nodes for name in node.input}
    outputs = [_scores(draft, value) for value in draft.made if value not in read]
    if draft.random.random() < 0.15:
        outputs.append(draft.random.choice(draft.made))
    return outputs


def _scores(draft: Draft, value: str) -> str:
    vector = _as_vector(draft, value)
    channels = draft.channels(vector)
    if draft.coin():
        weight = draft.weight(_CLASSES, channels, fan_in=channels)
        return draft.node("Gemm", vector, weight, draft.bias(_CLASSES), shape=(draft.batch, _CLASSES), transB=1)
    if draft.coin():
        weight = draft.weight(channels, _CLASSES, fan_in=channels)
        return draft.node("Gemm", vector, weight, shape=(draft.batch, _CLASSES), alpha=0.5)
    return draft.linear(vector, _CLASSES)


def _as_vector(draft: Draft, value: str) -> str:
    """(batch, channels, ...) or (batch, tokens, channels) -> (batch, channels), or all places beside each other."""
    batch, *sizes = draft.shapes[value]
    places = math.prod(int(size) for size in sizes)
    if places <= 64 and draft.coin():
        return draft.node("Flatten", value, shape=(batch, places), axis=1)
    if len(sizes) == 3:
        pooled = draft.node("GlobalAveragePool", value, shape=(batch, sizes[0], 1, 1))
        return draft.node("Flatten", pooled, shape=(batch, sizes[0]))
    if draft.coin():
        first = draft.cut_out(value, 0, 1, 1)
        return draft.node("Squeeze", first, draft.numbers(1), shape=(batch, sizes[1]))
    return draft.node("ReduceMean", value, draft.numbers(1), shape=(batch, sizes[1]), keepdims=0)


def _as_tokens(draft: Draft, value: str) -> str:
    """(batch, channels, side, side) -> (batch, side * side, channels), of 16 tokens at most"""
    if len(draft.shapes[value]) == 3:
        return value
    batch, channels, side, _ = draft.shapes[value]
    if int(side) > 4:
        value = draft.node(
            "AveragePool",
            value,
            shape=(batch, channels, 4, 4),
            kernel_shape=[int(side) // 4] * 2,
            strides=[int(side) // 4] * 2,
        )
        side = 4
    return draft.transpose(draft.reshape(value, batch, channels, int(side) ** 2), 0, 2, 1)


def _as_map(draft: Draft, value: str) -> str:
    """(batch, side * side, channels) -> (batch, channels, side, side)"""
    if len(draft.shapes[value]) == 4:
        return value
    batch, tokens_, channels = draft.shapes[value]
    side = math.isqrt(int(tokens_))
    return draft.reshape(draft.transpose(value, 0, 2, 1), batch, channels, side, side)


def steps_of(model: Model) -> Sequence[str]:
    """Return for each node of a grown graph the name of the step that made it."""
    return [str(node.name).split("/", maxsplit=1)[0] for node in model.graph]
