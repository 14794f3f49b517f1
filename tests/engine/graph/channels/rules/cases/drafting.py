"""What cases are made with: a network between two layers, and the sizes of the groups that it has."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from engine.graph.model import Model
from tests.networks import Draft

PIXELS = 6
TOKENS = 5


class Case(NamedTuple):
    """`build` makes the network; `sizes` are those of its groups, in order."""

    build: Callable[[], Model]
    sizes: tuple[int, ...]


def between_convs(
    middle: Callable[[Draft, str], str], *, wide: int = 8, out: int | None = None, opset: int = 18
) -> Model:
    """A convolution to `wide` channels, something, and another one from `out` channels to one."""
    draft = Draft(opset)
    x = middle(draft, draft.conv("image", 3, wide))
    return draft.model(draft.classify(draft.conv(x, out or wide, 1), 1), ("batch", 3, PIXELS, PIXELS))


def between_layers(
    middle: Callable[[Draft, str], str], *, wide: int = 8, out: int | None = None, opset: int = 18, batch: Any = "batch"
) -> Model:
    """A linear layer to `wide` numbers for each token, something, and another one from `out` numbers to five."""
    draft = Draft(opset)
    x = middle(draft, draft.node("MatMul", "image", draft.weight(4, wide, scale=0.5)))
    last = draft.node("MatMul", x, draft.weight(out or wide, 5, scale=0.5))
    return draft.model(last, (batch, TOKENS, 4), (batch, TOKENS, 5))


Build = Callable[[], Model]


def adding_to(cases: dict[str, Case]) -> Callable[..., Callable[[Build], Build]]:
    """Return a decorator that puts a network into a table, with the sizes of its groups."""

    def case(*sizes: int, name: str | None = None) -> Callable[[Build], Build]:
        def add(build: Build) -> Build:
            cases[name or build.__name__] = Case(build, sizes)
            return build

        return add

    return case
