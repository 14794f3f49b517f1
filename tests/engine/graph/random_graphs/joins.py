"""Steps over maps in which ways part and meet: residual, dense, parallel, split, and weights that serve twice."""

from __future__ import annotations

from tests.engine.graph.random_graphs.draft import SIDE, Draft


def residual(draft: Draft, x: str) -> str:
    channels = draft.channels(x)
    branch = draft.conv(draft.activation(draft.conv(x, draft.width(), kernel=3)), channels)
    return draft.like("Relu", draft.like("Add", *((x, branch) if draft.coin() else (branch, x))))


def projected_residual(draft: Draft, x: str) -> str:
    """Both ways make new channels, with a stride where there is room."""
    width, stride = draft.width(), 2 if draft.channels(x, 2) >= SIDE else 1
    branch = draft.conv(draft.activation(draft.conv(x, draft.width())), width, kernel=3, stride=stride)
    return draft.like("Add", branch, draft.conv(x, width, stride=stride))


def inverted_residual(draft: Draft, x: str) -> str:
    channels, width = draft.channels(x), draft.width()
    inner = draft.like("HardSwish", draft.conv(x, width))
    inner = draft.like("HardSwish", draft.conv(inner, width, kernel=3, group=width))
    return draft.like("Add", draft.conv(inner, channels), x)


def dense(draft: Draft, x: str) -> str:
    """Each layer reads all that came before it."""
    values = [x]
    for _ in range(draft.random.choice([1, 2])):
        joined = draft.concat(*values) if len(values) > 1 else x
        values.append(draft.activation(draft.conv(joined, draft.random.choice([2, 3, 4]), kernel=3)))
    joined = draft.concat(*values)
    return draft.conv(joined, draft.width()) if draft.channels(joined) > 16 else joined


def parallel(draft: Draft, x: str) -> str:
    """Two or three ways side by side, of which one may be the map itself."""
    ways = [draft.conv(x, draft.random.choice([2, 4, 6]), kernel=k) for k in (1, 3)]
    ways += [draft.like("MaxPool", x, kernel_shape=[3, 3], pads=[1, 1, 1, 1])] if draft.channels(x) <= 8 else []
    draft.random.shuffle(ways)
    return draft.activation(draft.concat(*ways))


def joined_earlier(draft: Draft, x: str) -> str:
    """Meet a value of the same shape from somewhere before: a sum, a product or the larger one."""
    other = _partner(draft, x, same_channels=True) or draft.conv(x, draft.channels(x))
    return draft.like(draft.random.choice(["Add", "Mul", "Max", "Sub"]), x, other)


def concatenated_earlier(draft: Draft, x: str) -> str:
    """Lie beside a value from somewhere before, or beside itself."""
    joined = draft.concat(x, _partner(draft, x, same_channels=False) or x)
    return draft.conv(joined, draft.width()) if draft.channels(joined) > 16 else joined


def split(draft: Draft, x: str) -> str:
    """Part the channels, evenly or not, treat the parts differently, put them together again, perhaps turned round."""
    channels = draft.channels(x)
    first = channels // 2 if draft.coin() else draft.random.randrange(1, channels)
    a, b = draft.split(x, first, channels - first)
    a = draft.conv(a, draft.random.choice([2, 4, 6]), kernel=3) if draft.coin() else draft.like("Sigmoid", a)
    return draft.concat(*((a, b) if draft.coin() else (b, a)))


def split_and_shuffle(draft: Draft, x: str) -> str:
    """A unit of ShuffleNet: half of the channels stay, the others are worked on, and both are interleaved."""
    x = draft.of_multiple(x, 2)
    channels, shape = draft.channels(x), draft.shapes[x]
    half = channels // 2
    if draft.coin():
        kept, worked = draft.split(x, half, half)
    else:
        kept, worked = draft.cut_out(x, 0, half, 1), draft.cut_out(x, half, channels, 1)
    worked = draft.conv(draft.conv(draft.like("Relu", draft.conv(worked, half)), half, kernel=3, group=half), half)
    joined = draft.reshape(draft.concat(kept, worked), shape[0], 2, half, *shape[2:])
    return draft.reshape(draft.transpose(joined, 0, 2, 1, 3, 4), *shape)


def gated_halves(draft: Draft, x: str) -> str:
    width = draft.width()
    a, b = draft.split(draft.conv(x, 2 * width), width, width)
    return draft.like("Mul", a, draft.like("Sigmoid", b))


def summed_parts(draft: Draft, x: str) -> str:
    """Three equal parts meet in a sum, so that the same place in each goes together."""
    x = draft.of_multiple(x, 3) if draft.channels(x) % 3 == 0 else draft.conv(x, 6)
    third = draft.channels(x) // 3
    a, b, c = draft.split(x, third, third, third)
    return draft.conv(draft.like("Add", draft.like("Add", a, b), c), draft.width())


def shared_weights(draft: Draft, x: str) -> str:
    """One kernel serves twice in a row, or on two ways."""
    channels = draft.channels(x)
    weight = draft.weight(channels, channels, 1, 1, fan_in=channels)
    once = draft.like("Conv", x, weight, kernel_shape=[1, 1])
    if draft.coin():
        return draft.like("Conv", draft.like("Relu", once), weight, kernel_shape=[1, 1])
    return draft.concat(once, draft.like("Conv", draft.like("Sigmoid", x), weight, kernel_shape=[1, 1]))


def selective_kernel(draft: Draft, x: str) -> str:
    """Two ways weighed against each other, channel by channel, by a softmax over the ways."""
    batch, channels, *sides = draft.shapes[x]
    assert isinstance(channels, int)
    ways = [draft.reshape(draft.conv(x, channels, kernel=k), batch, 1, channels, *sides) for k in (1, 3)]
    stacked = draft.concat(*ways)
    pooled = draft.node("GlobalAveragePool", x, shape=(batch, channels, 1, 1))
    weights = draft.reshape(draft.conv(pooled, 2 * channels), batch, 2, channels, 1, 1)
    weighed = draft.like("Mul", stacked, draft.like("Softmax", weights, axis=1))
    return draft.node("ReduceSum", weighed, draft.numbers(1), shape=draft.shapes[x], keepdims=0)


def _partner(draft: Draft, x: str, same_channels: bool) -> str | None:
    shape = draft.shapes[x]
    fits = [
        other
        for other in draft.made
        if other != x and draft.shapes[other][2:] == shape[2:] and len(draft.shapes[other]) == len(shape)
        if draft.shapes[other] == shape or not same_channels
    ]
    return draft.random.choice(fits) if fits else None
