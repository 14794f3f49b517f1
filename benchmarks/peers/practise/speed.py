"""What leaving out blocks brings in ONNX Runtime: each set of blocks is exported and timed once, beside the whole."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable
from pathlib import Path

from benchmarks.networks.export import export
from benchmarks.networks.network import Network
from benchmarks.peers.practise.adapters import without
from engine.formats import load
from engine.graph.model import Model
from engine.measure.latency import compare_latency
from engine.recipe import Deploy
from engine.report import Interval

SHARE_WIDTH, SHARE_SECONDS = 0.01, 10.0


class Speed:
    """Latency ratios of a network without some of its blocks, remembered: they depend on no weights."""

    def __init__(self, network: Network, side: int, deploy: Deploy) -> None:
        self.network = network
        self.side = side
        self.deploy = deploy
        self._whole = exported(network, side)
        self._known: dict[frozenset[str], Interval] = {}

    def ratio(self, blocks: Iterable[str]) -> Interval:
        """Return latency without the blocks over latency with them; compared in turn until it is known to +- 1 %."""
        left_out = frozenset(blocks)
        if left_out not in self._known:
            cut = exported(without(self.network, left_out), self.side)
            self._known[left_out] = compare_latency(
                self._whole,
                cut,
                self.deploy,
                {},
                seed=0,
                budget_seconds=SHARE_SECONDS,
                until_width=SHARE_WIDTH,
            ).ratio
        return self._known[left_out]


def exported(network: Network, side: int) -> Model:
    """Return the network as a user would hand it over: ONNX, batch norm folded."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "network.onnx"
        export(network, side, path)
        return load(path)
