"""Bases of heads: the best approximation of each rank, and what heads of low rank lose by it: nothing."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest

from engine.check import relative_error
from engine.execution.runtime import open_session, run
from engine.graph.channels.groups import find_groups
from engine.graph.channels.remove import remove_channels
from engine.graph.heads import find_heads, rotated
from engine.graph.model import Model
from engine.recovery.rotation import best_basis, find_rotations
from tests.engine.graph.heads.attentions import LAYOUTS, Spec, network
from tests.engine.pricing.readers import COMPUTE, some_images
from tests.networks import images

Array = npt.NDArray[np.float64]


def moments(seed: int, size: int, rank: int | None = None) -> Array:
    random = np.random.default_rng(seed)
    rows = random.standard_normal((3 * size, rank or size)) @ random.standard_normal((rank or size, size))
    return np.asarray(rows.T @ rows / len(rows))


def missed(demand: Array, power: Array, basis: Array, rank: int) -> float:
    """Return E(x'y - x'y')² of independent x and y, of which y' has gone through so many numbers of the basis."""
    through = np.linalg.inv(basis)[:, :rank] @ basis[:rank]
    lost = np.eye(len(basis)) - through
    return float(np.trace(demand @ lost @ power @ lost.T))


@pytest.mark.parametrize("size", [2, 5, 16])
@pytest.mark.parametrize("seed", range(4))
def test_no_basis_misses_less_at_any_rank(seed: int, size: int) -> None:
    """What is missed are the squares of the singular values left out: Eckart and Young. Both sides weigh alike."""
    demand, power = moments(seed, size), moments(seed + 100, size)

    basis, values = best_basis(demand, power)

    whole = float((values**2).sum())
    assert whole == pytest.approx(np.trace(demand @ power), rel=1e-5)
    other = np.linalg.inv(basis).T
    assert np.allclose(basis @ power @ basis.T, np.diag(values), atol=2e-3 * values[0])
    assert np.allclose(other @ demand @ other.T, np.diag(values), atol=2e-3 * values[0])
    own = np.linalg.eigh(power)[1].T[::-1]
    for rank in range(1, size):
        least = missed(demand, power, basis, rank)
        assert least == pytest.approx(float((values[rank:] ** 2).sum()), rel=1e-3, abs=1e-6 * whole)
        assert least <= missed(demand, power, own, rank) * (1 + 1e-6)
        assert least <= missed(demand, power, np.eye(size), rank) * (1 + 1e-6)


@pytest.mark.parametrize("rank", [1, 3])
def test_a_basis_of_few_directions_can_still_be_undone(rank: int) -> None:
    """Moments of rank below full, as from few images: no number is lost in rounding, and the first are enough."""
    demand, power = moments(0, 8), moments(1, 8, rank)

    basis, values = best_basis(demand, power)

    assert np.linalg.cond(basis) < 1e6
    assert missed(demand, power, basis, rank) < 1e-4 * float((values**2).sum())
    assert best_basis(np.zeros((4, 4)), np.zeros((4, 4)))[0].shape == (4, 4)


def say(model: Model) -> npt.NDArray[np.float32]:
    feed = images(model, batch=1 if isinstance(model.inputs[0].shape[0], int) else 3)
    return run(open_session(model), feed)[model.outputs[0].name]


LOW = Spec(rank=2, size=6, bias="none")
SPECS = [
    *(replace(LOW, layout=layout) for layout in LAYOUTS),
    *(replace(LOW, bias=bias) for bias in ("add", "gemm", "late")),
    *(replace(LOW, written=written, opset=23) for written in ("three", "four")),
    replace(LOW, keys=1, written="three", opset=23),
    replace(LOW, heads=1, keys=1),
    replace(LOW, mask=True, scale="queries"),
]


@pytest.mark.parametrize("spec", SPECS, ids=[spec.name for spec in SPECS])
def test_heads_of_low_rank_lose_their_last_numbers_for_nothing(spec: Spec) -> None:
    """Seen on other images than those that tell. As they were, the same cut does harm."""
    model = network(spec)
    heads = list(find_heads(model, find_groups(model).groups).heads.values())

    rotations = find_rotations(model, heads, some_images(model, 6), COMPUTE)

    new, rank = rotated(model, rotations), spec.rank
    last = {one.group: range(rank, one.size) for one in heads}
    assert [rotation.heads for rotation in rotations] == heads
    assert all(
        (np.diff(rotation.shares) <= 1e-12).all() and rotation.shares[rank:].sum() < 1e-5 for rotation in rotations
    )
    assert relative_error(say(new), say(model)) < 1e-4
    assert relative_error(say(remove_channels(new, last)), say(model)) < 1e-3
    assert relative_error(say(remove_channels(model, last)), say(model)) > 3e-3


def test_what_all_keys_and_all_values_have_in_common_takes_no_room() -> None:
    """One direction and a large bias: a softmax takes no notice of the keys', and the values' moves behind."""
    model = network(Spec(bias="late", size=4, rank=1))
    heads = list(find_heads(model, find_groups(model).groups).heads.values())
    for bias in [bias for one in heads for head in one.heads for bias in head.here.biases]:
        constant = str(model.nodes()[bias.node].inputs[bias.index].name)  # type: ignore[union-attr]  # there it is
        model.set_weight(constant, model.weight(constant) + np.float32(3))  # type: ignore[operator]  # floats
    rotations = find_rotations(model, heads, some_images(model, 6), COMPUTE)

    smaller = remove_channels(rotated(model, rotations), {one.group: [1, 2, 3] for one in heads})

    assert relative_error(say(smaller), say(model)) < 1e-3
