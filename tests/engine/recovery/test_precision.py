"""Halves are for networks that are known to bear them, and where they are taken the gradient stays what it was."""

from __future__ import annotations

import pytest
import torch

from engine.execution.executor import Executor
from engine.graph.features import find_features
from engine.graph.model import Model
from engine.graph.normalise import normalise
from engine.recovery import precision
from engine.recovery.precision import NOISE, trains_in_halves
from tests.networks import NETWORKS, images


@pytest.fixture(autouse=True)
def matrix_tiles(monkeypatch: pytest.MonkeyPatch) -> None:
    """Halves are the same on a processor without tiles, only slower."""
    monkeypatch.setattr(precision, "has_matrix_tiles", lambda: True)


def bears_halves(model: Model, given: str = "image", error: float = 0.1, device: str = "cpu") -> bool:
    features = find_features(model)
    return trains_in_halves(model, [given], [*features.values, *features.logits], device, error)


def gradient(model: Model, *, halves: bool) -> torch.Tensor:
    """Return the gradient of the features' power by all weights, as one vector."""
    network = Executor(model)
    given = {name: torch.from_numpy(array) for name, array in images(model, seed=4).items()}
    with torch.autocast("cpu", torch.bfloat16, enabled=halves):
        said = network(given, fetch=find_features(model).values)
    power = torch.stack([value.float().square().mean() for value in said.values()]).sum()
    power.backward()  # type: ignore[no-untyped-call]  # torch ships no types here
    return torch.cat([p.grad.flatten() for p in network.parameters() if p.grad is not None])


@pytest.mark.parametrize("name", ["residual", "channels_last", "residual_with_batch_norm", "dense", "plain"])
def test_what_bears_halves_learns_the_same_with_them(name: str) -> None:
    model = normalise(NETWORKS[name][0]())

    exact, halved = (gradient(model, halves=halves) for halves in (False, True))

    assert bears_halves(model)
    assert not torch.equal(halved, exact)
    assert torch.linalg.vector_norm(halved - exact) < 0.05 * torch.linalg.vector_norm(exact)


@pytest.mark.parametrize("name", ["inverted_residual", "transformer", "squeeze_excite"])
def test_groups_and_operators_that_are_not_known_for_it_stay_exact(name: str) -> None:
    assert not bears_halves(normalise(NETWORKS[name][0]()))


def test_only_what_is_trained_has_to_bear_halves() -> None:
    model = normalise(NETWORKS["residual"][0]())
    first = next(node for node in model.graph if node.op_type == "Relu")
    first.op_type = "Softplus"

    assert not bears_halves(model)
    assert bears_halves(model, given=str(first.outputs[0].name))


def test_small_errors_and_other_devices_stay_exact() -> None:
    model = normalise(NETWORKS["residual"][0]())

    assert not bears_halves(model, error=NOISE)
    assert not bears_halves(model, device="cuda")
