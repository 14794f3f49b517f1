"""Images of every rung are what their network takes, and those that gradients made are what was wished for."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from engine.data.images import ImageSet
from engine.data.rungs import RUNGS
from engine.data.rungs.channel_statistics import ChannelStatistics, batch_norms, find_statistics, moments
from engine.data.rungs.inversion import _Wish, invert
from engine.data.rungs.pixels import Pixels, reshape_by_gradient
from engine.data.rungs.priors import token_values
from engine.data.rungs.procedural import draw
from engine.data.rungs.wishes import patch_entropy, roughness, soft_labels
from engine.data.site import Site
from engine.execution.executor import Executor
from engine.graph.model import Model
from engine.graph.normalise import normalise
from tests.engine.data.sites import nothing, site_of
from tests.networks import channels_last, residual, residual_of_one, residual_with_batch_norm, transformer

CPU = torch.device("cpu")
LOWEST, HIGHEST = -2.12, 2.65  # black and white after ImageNet's normalisation


@pytest.mark.parametrize("name", RUNGS)
@pytest.mark.parametrize(
    ("model", "layout", "shape"),
    [
        (residual_with_batch_norm(), "NCHW", (3, 16, 16)),
        (normalise(transformer()), "NCHW", (3, 16, 16)),
        (channels_last(), "NHWC", (16, 16, 3)),
        (residual_of_one(), "NCHW", (3, 16, 16)),
    ],
    ids=["batch norm", "tokens", "channels last", "batch of one"],
)
def test_every_rung_makes_what_the_network_takes(
    name: str, model: Model, layout: str, shape: tuple[int, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    site = site_of(model, layout=layout, seconds=0.3)

    made = RUNGS[name].make(site, nothing(*shape), 6)

    assert made.inputs.shape == (6, *shape)
    assert made.inputs.dtype == np.float32
    assert made.inputs.min() >= LOWEST
    assert made.inputs.max() <= HIGHEST
    assert made.notes


def test_a_third_of_inverted_images_stays_as_drawn() -> None:
    site = site_of(residual(), seconds=1.0)
    drawn = draw(site, nothing(3, 16, 16), 12)

    made = invert(site, nothing(3, 16, 16), 12)

    same = [np.array_equal(one, other) for one, other in zip(drawn.inputs, made.inputs, strict=True)]
    assert sum(same) == 4


@pytest.mark.parametrize("model", [residual_with_batch_norm(), residual()], ids=["real", "measured"])
def test_inverted_images_come_closer_to_the_statistics_and_to_their_class(model: Model) -> None:
    """From noise, in twenty steps."""
    drawn = draw(site_of(model), nothing(3, 16, 16), 16)
    model = trained_on(model, drawn)
    site, network = site_of(model), Executor(model)
    statistics = find_statistics(network, drawn, 16, CPU)
    noise = np.random.default_rng(0).uniform(LOWEST, HIGHEST, drawn.inputs.shape).astype(np.float32)
    wish = _Wish(site, network, statistics)

    made = reshape_by_gradient(site, ImageSet(noise, None, drawn.names), wish, steps=20)

    changed = [row for row in range(16) if not np.array_equal(noise[row], made.inputs[row])]
    before, after = (torch.from_numpy(inputs[changed]) for inputs in (noise, made.inputs))
    assert distance(network, statistics, after) < 0.8 * distance(network, statistics, before)
    with torch.no_grad():
        assert float(wish.loss(after, 0.0)) < float(wish.loss(before, 0.0))


def trained_on(model: Model, images: ImageSet) -> Model:
    """Return the network with batch norms that have seen these images, where it has any."""
    model = model.copy()
    for norm in batch_norms(model):
        reads, *_, mean, variance = (str(value.name) for value in norm.inputs if value is not None)
        seen = Executor(model)({"image": torch.from_numpy(images.inputs)}, fetch=[reads])[reads].detach()
        for name, array in zip((mean, variance), moments(seen), strict=True):
            model.set_weight(name, array.numpy())
    return model


def distance(network: Executor, statistics: ChannelStatistics, inputs: torch.Tensor) -> float:
    with torch.no_grad():
        values = network({"image": inputs}, fetch=list(statistics.targets))
    return float(statistics.distance(values))


def test_statistics_are_those_of_batch_norms_where_there_are_any() -> None:
    drawn = draw(site_of(residual()), nothing(3, 16, 16), 8)
    with_norms, without = Executor(residual_with_batch_norm()), Executor(residual())

    real, measured = (find_statistics(network, drawn, 4, CPU) for network in (with_norms, without))

    assert "batch norms" in real.note
    assert "measured" in measured.note
    values = without({"image": torch.from_numpy(drawn.inputs)}, fetch=list(measured.targets))
    for name, (mean, variance) in measured.targets.items():
        found_mean, found_variance = moments(values[name])
        torch.testing.assert_close(mean, found_mean, atol=1e-4, rtol=1e-4)
        torch.testing.assert_close(variance, found_variance, atol=1e-4, rtol=1e-4)


class Darkness:
    """The wish for black images; counts the steps and notes how they were seen."""

    def __init__(self) -> None:
        self.steps, self.done = 0, [0.0]

    def begin(self, pixels: Pixels, generator: torch.Generator) -> None:
        pass

    def loss(self, inputs: torch.Tensor, done: float) -> torch.Tensor:
        self.steps += 1
        self.done.append(done)
        return inputs.sum()


@pytest.mark.parametrize("seconds", [0.0, 0.05, 60.0])
def test_the_clock_ends_the_steps(seconds: float) -> None:
    site, wish = site_of(residual(("batch", 3, "h", "w")), seconds=seconds), Darkness()
    grey = ImageSet(np.zeros((9, 3, 17, 15), np.float32), None, tuple("abcdefghi"))

    made = reshape_by_gradient(site, grey, wish, steps=40)

    assert wish.steps >= 1
    assert wish.steps == 40 or seconds < 1
    assert made.inputs.mean() < 0 or not seconds  # without any time the last rate, which is none
    assert made.inputs.min() >= LOWEST


def test_tokens_are_found_in_transformers_alone() -> None:
    assert token_values(normalise(transformer()))
    assert not token_values(residual())


def test_patches_of_a_thing_before_a_background_differ_more_than_those_of_noise() -> None:
    generator = torch.Generator().manual_seed(0)
    noise = torch.randn(4, 16, 32, generator=generator)
    thing, ground = torch.randn(2, 1, 1, 32, generator=generator)
    parts = torch.where(torch.arange(16)[:, None] < 6, thing, ground) + 0.3 * noise

    assert patch_entropy(parts) > patch_entropy(noise) > 0
    assert patch_entropy(torch.ones(2, 16, 8)) < patch_entropy(noise)


def test_soft_labels_cover_the_classes_and_sum_to_one() -> None:
    labels = soft_labels(5, 20, torch.Generator().manual_seed(0))

    torch.testing.assert_close(labels.sum(dim=1), torch.ones(20))
    assert torch.bincount(labels.argmax(dim=1), minlength=5).tolist() == [4] * 5


def test_roughness_is_none_in_flat_images_and_largest_in_noise() -> None:
    ramp = torch.linspace(0, 1, 8).expand(1, 1, 8, 8)

    assert roughness(torch.ones(1, 3, 8, 8)) == 0
    assert 0 < roughness(ramp) < roughness(torch.rand(1, 1, 8, 8, generator=torch.Generator().manual_seed(0)))


def test_a_site_is_left_as_it_was() -> None:
    """Making images changes no weight of the network."""
    site: Site = site_of(residual_with_batch_norm(), seconds=0.2)
    before = site.model.to_bytes()

    invert(site, nothing(3, 16, 16), 4)

    assert site.model.to_bytes() == before
