"""The ranking and the choice as published, noise included; a whole run on a tiny network."""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np
import pytest
import torch

from benchmarks.peers.practise.mimicry import Images
from benchmarks.peers.practise.recipe import BlockScore, Scores, Seconds, choose, score_blocks, tune
from engine.report import Interval
from tests.benchmarks.networks.test_definitions import tiny_networks


class FakeSpeed:
    """Each block has its share; all ratios are exact. Counts what was asked."""

    def __init__(self, shares: dict[str, float], interplay: float = 0.0) -> None:
        self.shares = shares
        self.interplay = interplay
        self.asked: list[frozenset[str]] = []

    def ratio(self, blocks: Iterable[str]) -> Interval:
        self.asked.append(frozenset(blocks))
        gone = [self.shares[block] for block in self.asked[-1]]
        value = 1 - sum(gone) + self.interplay * (len(gone) - 1)
        return Interval(value=value, low=value, high=value)


def test_a_score_is_the_error_over_the_share_in_per_cent() -> None:
    assert BlockScore("a", 0.2, 4.0).score == pytest.approx(0.05)
    assert BlockScore("a", 0.2, 0.0).score == math.inf


def test_a_negative_share_goes_first_as_published_and_is_noted() -> None:
    blocks = (BlockScore("noise", 0.1, -0.5), BlockScore("good", 0.01, 4.0))
    ranking = tuple(sorted(blocks, key=lambda each: each.score))

    scores = Scores(ranking, 10, Seconds())

    assert [each.block for each in ranking] == ["noise", "good"]
    assert scores.notes == ("noise: its measured latency share is -0.50 %, so it goes first, as published",)


@pytest.mark.parametrize("interplay", [-0.04, 0.0, 0.04])
@pytest.mark.parametrize(("ratio"), [0.95, 0.9, 0.8, 0.7, 0.6, 0.1])
def test_the_fewest_blocks_that_are_enough_are_chosen(ratio: float, interplay: float) -> None:
    shares = {"a": 0.1, "b": 0.05, "c": 0.15, "d": 0.1, "e": 0.05}
    ranking = [BlockScore(block, 1.0, 100 * share) for block, share in shares.items()]
    speed = FakeSpeed(shares, interplay)
    ratios = [speed.ratio(list(shares)[:count]).value for count in range(1, 6)]
    expected = next((count for count, value in enumerate(ratios, 1) if value <= ratio), 5)

    blocks, found = choose(ranking, speed, ratio)  # type: ignore[arg-type]

    assert blocks == tuple(shares)[:expected]
    assert found.value == ratios[expected - 1]


def test_blocks_are_scored_alone_and_the_ranking_is_the_same_for_the_same_seed() -> None:
    teacher = tiny_networks()["inverted"]
    images = Images(torch.randn(6, 3, 16, 16, generator=torch.Generator().manual_seed(0)), 16)
    names = [each.block for each in teacher.droppables()]
    speed = FakeSpeed(dict(zip(names, (0.1, 0.2, 0.05, 0.1), strict=True)))

    first = score_blocks(teacher, images, speed, steps=2, seed=1)  # type: ignore[arg-type]
    second = score_blocks(teacher, images, speed, steps=2, seed=1)  # type: ignore[arg-type]

    assert first.ranking == second.ranking
    assert sorted(each.block for each in first.ranking) == names
    assert all(len(asked) == 1 for asked in speed.asked)
    scores = [each.score for each in first.ranking]
    assert scores == sorted(scores)
    assert first.seconds.cpu > 0


def test_a_tuned_network_lacks_its_blocks_and_starts_from_the_teachers_weights() -> None:
    teacher = tiny_networks()["resnet"]
    images = Images(torch.randn(6, 3, 32, 32, generator=torch.Generator().manual_seed(0)), 32)
    speed = FakeSpeed({"layer1.1": 0.2, "layer3.1": 0.1})

    tuned = tune(teacher, ("layer1.1", "layer3.1"), images, speed, steps=0, seed=0)  # type: ignore[arg-type]

    convolutions = [node for node in tuned.model.graph if node.op_type == "Conv"]
    assert len(convolutions) == sum(isinstance(each, torch.nn.Conv2d) for each in teacher.modules()) - 4
    assert tuned.ratio.value == pytest.approx(0.7)
    gains = teacher.bn1.weight / (teacher.bn1.running_var + teacher.bn1.eps).sqrt()
    stem = (teacher.conv1.weight * gains.reshape(-1, 1, 1, 1)).detach().numpy()
    weight = convolutions[0].inputs[1]
    assert weight is not None
    assert weight.const_value is not None
    np.testing.assert_allclose(weight.const_value.numpy(), stem, rtol=1e-5, atol=1e-6)
