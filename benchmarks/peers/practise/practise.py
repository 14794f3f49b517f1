"""The whole of PRACTISE on one network by its name: scores once, then one result for each asked latency ratio."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.networks import NETWORKS, load_network
from benchmarks.peers.practise.mimicry import Images
from benchmarks.peers.practise.recipe import PUBLISHED_STEPS, Scores, Tuned, choose, score_blocks, tune
from benchmarks.peers.practise.speed import Speed
from engine.recipe import Deploy


@dataclass(frozen=True)
class PractiseResult:
    """What came of one asked ratio. The `scores`, and what they cost, are the same for all ratios of a call."""

    latency_ratio: float
    scores: Scores
    tuned: Tuned


class Practise:
    """One network, whose measured latencies serve all images and seeds."""

    def __init__(self, name: str, folder: Path, deploy: Deploy) -> None:
        self.name = name
        self.folder = folder
        self.deploy = deploy
        self._speed: Speed | None = None

    def run(
        self,
        images: NDArray[np.float32],
        ratios: Sequence[float],
        *,
        scoring_steps: int = PUBLISHED_STEPS,
        tuning_steps: int = PUBLISHED_STEPS,
        seed: int = 0,
        scores: Scores | None = None,
    ) -> Iterator[PractiseResult]:
        """Yield a result for each ratio; blocks are scored only where no `scores` of an earlier run are given.

        `images` are preprocessed, (count, 3, height, width), and may be larger than the network takes: random crops are
        of all of an image, errors are measured on its middle.
        """
        prepared = Images(torch.from_numpy(images), NETWORKS[self.name].side)
        teacher = load_network(self.name, self.folder, prepared.plain()).to(memory_format=torch.channels_last)
        if not teacher.droppables():
            raise ValueError(f"'{self.name}' has no block with an identity shortcut: PRACTISE has nothing to drop.")
        speed = self._speed = self._speed or Speed(teacher, prepared.side, self.deploy)
        scores = scores or score_blocks(teacher, prepared, speed, steps=scoring_steps, seed=seed)
        known: dict[tuple[str, ...], Tuned] = {}
        for ratio in ratios:
            blocks, _ = choose(scores.ranking, speed, ratio)
            if blocks not in known:
                known[blocks] = tune(teacher, blocks, prepared, speed, steps=tuning_steps, seed=seed)
            yield PractiseResult(ratio, scores, known[blocks])
