"""Steps over maps (batch, channels, side, side): convolutions, norms, gates and what moves channels about."""

from __future__ import annotations

import math

import numpy as np

from tests.engine.graph.random_graphs.draft import SIDE, Draft


def conv(draft: Draft, x: str) -> str:
    stride = 2 if draft.channels(x, 2) >= SIDE and draft.coin() else 1
    return draft.activation(draft.conv(x, draft.width(), kernel=draft.random.choice([1, 3]), stride=stride))


def depthwise(draft: Draft, x: str) -> str:
    channels = draft.channels(x)
    multiplier = 2 if channels <= 8 and draft.random.random() < 0.3 else 1
    return draft.activation(draft.conv(x, channels * multiplier, kernel=3, group=channels))


def grouped(draft: Draft, x: str) -> str:
    groups = draft.random.choice([2, 4])
    x = draft.of_multiple(x, groups)
    return draft.activation(draft.conv(x, draft.width(groups), kernel=3, group=groups))


def batch_norm(draft: Draft, x: str) -> str:
    channels = draft.channels(x)
    spread = draft.constant(np.linspace(0.5, 1.5, channels))
    return draft.like(
        "BatchNormalization", x, draft.scale(channels), draft.bias(channels), draft.bias(channels), spread
    )


def instance_norm(draft: Draft, x: str) -> str:
    channels = draft.channels(x)
    normed = draft.like("InstanceNormalization", x, draft.scale(channels), draft.scale(channels))
    return draft.activation(normed)  # else the mean over all places, which may come next, is a constant


def group_norm(draft: Draft, x: str) -> str:
    """The operator where the opset has it with a scale a channel, else spelled out as exporters do."""
    x = draft.of_multiple(x, 2)
    channels, groups, shape = draft.channels(x), 2, draft.shapes[x]
    if draft.opset >= 21 and draft.coin():
        return draft.like("GroupNormalization", x, draft.scale(channels), draft.bias(channels), num_groups=groups)
    flat = draft.reshape(x, shape[0], groups, channels // groups * math.prod(int(size) for size in shape[2:]))
    normed = draft.like("InstanceNormalization", flat, draft.constant(np.ones(groups)), draft.zeros(groups))
    back = draft.reshape(normed, *shape)
    return draft.like("Add", draft.like("Mul", back, draft.scale(channels, 1, 1)), draft.scale(channels, 1, 1))


def convnext(draft: Draft, x: str) -> str:
    """Depthwise, then channels last: norm, two linear layers, a layer scale; and the way round."""
    channels = draft.channels(x)
    inner = draft.transpose(draft.conv(x, channels, kernel=3, group=channels), 0, 2, 3, 1)
    inner = draft.linear(draft.like("Tanh", draft.linear(draft.layer_norm(inner), draft.width())), channels)
    inner = draft.transpose(draft.like("Mul", inner, draft.scale(channels)), 0, 3, 1, 2)
    return draft.like("Add", inner, x)


def squeeze_excite(draft: Draft, x: str) -> str:
    channels, pooled = draft.channels(x), (draft.batch, draft.channels(x), 1, 1)
    if draft.coin():
        squeezed = draft.node("GlobalAveragePool", x, shape=pooled)
    else:
        squeezed = draft.node("ReduceMean", x, draft.numbers(2, 3), shape=pooled, keepdims=1)
    gate = draft.conv(draft.like("Relu", draft.conv(squeezed, draft.width())), channels)
    gate = draft.like(draft.random.choice(["Sigmoid", "HardSigmoid"]), gate)
    return draft.like("Mul", x, gate) if draft.coin() else draft.node("Mul", gate, x, shape=draft.shapes[x])


def spatial_gate(draft: Draft, x: str) -> str:
    """A gate for every place, read from the mean over all channels: their number matters to it."""
    shape = (draft.batch, 1, *draft.shapes[x][2:])
    mean = draft.node("ReduceMean", x, draft.numbers(1), shape=shape, keepdims=1)
    return draft.like("Mul", x, draft.like("Sigmoid", draft.conv(mean, 1, kernel=3)))


def shuffle(draft: Draft, x: str) -> str:
    groups = draft.random.choice([2, 4])
    x = draft.of_multiple(x, groups)
    shape, channels = draft.shapes[x], draft.channels(x)
    split = draft.reshape(x, shape[0], groups, channels // groups, *shape[2:])
    return draft.reshape(draft.transpose(split, 0, 2, 1, 3, 4), *shape)


def maxout(draft: Draft, x: str) -> str:
    """The larger of two neighbours among the channels."""
    x = draft.of_multiple(x, 4)
    batch, sides, half = draft.batch, draft.shapes[x][2:], draft.channels(x) // 2
    pairs = draft.reshape(x, batch, half, 2, *sides)
    return draft.node("ReduceMax", pairs, draft.numbers(2), shape=(batch, half, *sides), keepdims=0)


def reshape_chain(draft: Draft, x: str) -> str:
    """Through shapes that hide the channels and back."""
    x = draft.of_multiple(x, 2)
    batch, channels, side, _ = draft.shapes[x]
    channels, side = int(channels), int(side)
    hidden = draft.reshape(x, batch, channels, side * side)
    hidden = draft.reshape(hidden, batch, channels // 2, 2 * side * side)
    hidden = draft.like("Tanh", hidden)
    if draft.coin():
        hidden = draft.node("Unsqueeze", hidden, draft.numbers(1), shape=(batch, 1, channels // 2, 2 * side * side))
    return draft.reshape(hidden, batch, channels, side, side)


def conv_transpose(draft: Draft, x: str) -> str:
    if draft.channels(x, 2) > SIDE:
        return draft.conv(x, draft.width(), kernel=3, stride=2)
    group = draft.random.choice([1, 2])
    x = draft.of_multiple(x, group)
    channels, width, side = draft.channels(x), draft.width(group), 2 * draft.channels(x, 2)
    weight = draft.weight(channels, width // group, 2, 2, fan_in=channels // group)
    return draft.node(
        "ConvTranspose",
        x,
        weight,
        draft.bias(width),
        shape=(draft.batch, width, side, side),
        strides=[2, 2],
        kernel_shape=[2, 2],
        group=group,
    )


def pixel_shuffle(draft: Draft, x: str) -> str:
    side = draft.channels(x, 2)
    if side > SIDE:
        small = draft.node(
            "SpaceToDepth", x, shape=(draft.batch, 4 * draft.channels(x), side // 2, side // 2), blocksize=2
        )
        return draft.conv(small, draft.width())
    width = draft.random.choice([2, 3, 4])
    wide, mode = draft.conv(x, 4 * width), draft.random.choice(["DCR", "CRD"])
    return draft.node("DepthToSpace", wide, shape=(draft.batch, width, 2 * side, 2 * side), blocksize=2, mode=mode)


def pad(draft: Draft, x: str) -> str:
    """Zeros around every channel, or one channel of zeros before and two behind."""
    batch, channels, side, _ = draft.shapes[x]
    if draft.coin() and int(channels) <= 12:
        return draft.node("Pad", x, draft.numbers(0, 1, 0, 0, 0, 2, 0, 0), shape=(batch, int(channels) + 3, side, side))
    mode = draft.random.choice(["constant", "edge"])
    wide = draft.node(
        "Pad",
        x,
        draft.numbers(0, 0, 1, 1, 0, 0, 1, 1),
        shape=(batch, channels, int(side) + 2, int(side) + 2),
        mode=mode,
    )
    return draft.node("MaxPool", wide, shape=draft.shapes[x], kernel_shape=[3, 3])


def broadcast(draft: Draft, x: str) -> str:
    """Constants of every broadcast shape: for a channel, a place, all."""
    channels, side = draft.channels(x), draft.channels(x, 2)
    shapes = [(channels, 1, 1), (1, channels, 1, 1), (1,), (), (side, side), (channels, side, side), (1, 1, 1, side)]
    op_type = draft.random.choice(["Add", "Mul", "Sub", "Div", "Max", "Min"])
    return draft.like(op_type, x, draft.scale(*draft.random.choice(shapes)))


def elementwise(draft: Draft, x: str) -> str:
    kind = draft.random.choice(["clip", "prelu", "where", "swish", "power", "act"])
    if kind == "clip":
        return draft.like("Clip", x, draft.constant(-0.5), draft.constant(1.5))
    if kind == "prelu":
        return draft.like("PRelu", x, draft.scale(draft.channels(x), 1, 1))
    if kind == "where":
        return _where(draft, x)
    if kind == "swish":
        return draft.like("Mul", x, draft.like("Sigmoid", x))
    if kind == "power":
        return draft.like("Sqrt", draft.like("Exp", draft.like("Tanh", x)))
    return draft.activation(x)


def _where(draft: Draft, x: str) -> str:
    shape = draft.shapes[x]
    above = draft.node("Greater", x, draft.scale(draft.channels(x), 1, 1), shape=shape)
    return draft.node("Where", above, x, draft.constant(0.25), shape=shape)


def pool(draft: Draft, x: str) -> str:
    batch, channels, side, _ = draft.shapes[x]
    kind = draft.random.choice(["MaxPool", "AveragePool", "Resize"])
    if kind == "Resize":
        if int(side) > SIDE:
            return draft.node(
                "AveragePool",
                x,
                shape=(batch, channels, int(side) // 2, int(side) // 2),
                kernel_shape=[2, 2],
                strides=[2, 2],
            )
        scales = draft.constant([1, 1, 2, 2])
        return draft.node(
            "Resize", x, "", scales, shape=(batch, channels, 2 * int(side), 2 * int(side)), mode="nearest"
        )
    return draft.like(kind, x, kernel_shape=[3, 3], pads=[1, 1, 1, 1])


def gather(draft: Draft, x: str) -> str:
    """Channels in another order: two runs that change places, of which one may come twice, or all of them at random."""
    channels = draft.channels(x)
    middle = draft.random.randrange(1, channels)
    first, second = list(range(middle)), list(range(middle, channels))
    picked = draft.random.choice([second + first, second + first + second, first + first, second + second])
    if draft.random.random() < 0.2:
        draft.random.shuffle(picked)
    shape = (draft.batch, len(picked), *draft.shapes[x][2:])
    gathered = draft.node("Gather", x, draft.numbers(*picked), shape=shape, axis=1)
    return draft.conv(gathered, draft.width()) if len(picked) > 12 else gathered


def sliced(draft: Draft, x: str) -> str:
    channels = draft.channels(x)
    start, step = draft.random.randrange(channels - 1), draft.random.choice([1, 1, 2])
    part = draft.cut_out(x, start, draft.random.randint(start + 1, channels), 1, step)
    return draft.conv(part, draft.width())


def channel_softmax(draft: Draft, x: str) -> str:
    """Channels weigh against each other: none may go."""
    return draft.like("Softmax", x, axis=1)


def einsum(draft: Draft, x: str) -> str:
    batch, channels, side, _ = draft.shapes[x]
    width = draft.width()
    weight = draft.weight(width, int(channels), fan_in=int(channels))
    return draft.node("Einsum", x, weight, shape=(batch, width, side, side), equation="nchw,dc->ndhw")


def pooled_context(draft: Draft, x: str) -> str:
    """The mean over all places, spread over them again, beside the map itself."""
    batch, _, side, _ = draft.shapes[x]
    pooled = draft.node("GlobalAveragePool", x, shape=(batch, draft.channels(x), 1, 1))
    context = draft.conv(pooled, draft.width())
    width = draft.channels(context)
    if draft.coin():
        spread = draft.node(
            "Expand", context, draft.numbers(1, width, int(side), int(side)), shape=(batch, width, side, side)
        )
    else:
        spread = draft.node(
            "Tile", context, draft.numbers(1, 1, int(side), int(side)), shape=(batch, width, side, side)
        )
    return draft.conv(draft.concat(x, spread), draft.width())
