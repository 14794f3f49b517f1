"""The table of units' times, on a machine that is made up: every block of a network takes as long as it is told to."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest

from engine.graph.model import Model
from engine.graph.normalise import normalise
from engine.graph.units import Unit, find_units
from engine.measure import savings
from engine.measure.unit_table import latency_shares
from engine.planning import whole_blocks
from engine.recipe import Deploy
from tests.networks import Draft, blocks, stem


def chain(count: int) -> Model:
    """Return a network of so many equal blocks."""
    draft = Draft()
    return normalise(draft.model(draft.classify(blocks(draft, stem(draft), count))))


class MadeUpMachine:
    """Samples of any network: 10 ms, less what each missing block takes, with a noise that all of a round share.

    `part` is what the loss of some blocks saves of their part as long as another block is there.
    """

    def __init__(self, model: Model, block_ms: list[float], noise: float, part: float = 1.0) -> None:
        self.units = whole_blocks(find_units(model))
        self.ms = dict(zip([unit.name for unit in self.units], block_ms, strict=True))
        self.noise, self.part, self.random = noise, part, np.random.default_rng(0)
        self.together: list[int] = []
        self.rounds: list[int] = []

    def time_models(
        self, models: Mapping[str, Model], *_: Any, enough: Callable[[Any], bool], **options: Any
    ) -> dict[str, Any]:
        self.together.append(len(models))
        truth = {name: self._truth_ms(model) for name, model in models.items()}
        taken: dict[str, Any] = {name: np.zeros(0) for name in models}
        while len(taken[""]) < 300 and not (len(taken[""]) and enough(taken)):
            weather = self.random.lognormal(0, 0.3, 30)
            own = {name: weather * self.random.lognormal(0, self.noise, 30) for name in models}
            taken = {name: np.append(before, truth[name] * own[name]) for name, before in taken.items()}
        self.rounds.append(len(taken[""]))
        return taken

    def _truth_ms(self, model: Model) -> float:
        there = model.nodes()
        gone = [self.ms[unit.name] for unit in self.units if unit.join not in there]
        return 10 - sum(gone) * (1 if len(gone) == len(self.units) else self.part)

    def shares(self, model: Model, units: list[Unit], budget_seconds: float = 60) -> dict[str, Any]:
        return latency_shares(model, units, Deploy(), {}, seed=0, budget_seconds=budget_seconds)


def on(monkeypatch: pytest.MonkeyPatch, model: Model, block_ms: list[float], noise: float = 0.01) -> MadeUpMachine:
    machine = MadeUpMachine(model, block_ms, noise)
    monkeypatch.setattr(savings, "time_models", machine.time_models)
    return machine


def test_blocks_of_a_kind_share_what_all_of_them_save(monkeypatch: pytest.MonkeyPatch) -> None:
    model = chain(5)
    machine = on(monkeypatch, model, [0.8] * 5)

    shares = machine.shares(model, machine.units)

    assert len(set(shares.values())) == 1
    for share in shares.values():
        assert share.low <= 0.08 <= share.high
        assert share.high - share.low < 0.1 * share.value


def test_blocks_that_are_alike_in_name_only_get_figures_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first and the last take twice as long as those between them: the runtime fuses them with less."""
    truth = [1.2, 0.6, 0.6, 0.6, 1.2]
    model = chain(5)
    machine = on(monkeypatch, model, truth)

    shares = machine.shares(model, machine.units)

    assert [shares[unit.name].value for unit in machine.units] == pytest.approx([ms / 10 for ms in truth], rel=0.1)
    assert sum(share.value for share in shares.values()) == pytest.approx(sum(truth) / 10, rel=0.03)


def test_the_figures_lie_between_what_kinds_and_what_halves_save(monkeypatch: pytest.MonkeyPatch) -> None:
    """All six together save 4.8 ms, and any fewer a tenth less than their part of it."""
    model = chain(6)
    machine = MadeUpMachine(model, [0.8] * 6, 0.005, part=0.9)
    monkeypatch.setattr(savings, "time_models", machine.time_models)

    shares = machine.shares(model, machine.units)

    assert [share.value for share in shares.values()] == pytest.approx([0.076] * 6, rel=0.02)


def test_a_quiet_machine_is_asked_less_than_a_busy_one(monkeypatch: pytest.MonkeyPatch) -> None:
    model = chain(3)
    quiet, busy = MadeUpMachine(model, [0.8] * 3, 0.005), MadeUpMachine(model, [0.8] * 3, 0.2)
    for machine in (quiet, busy):
        monkeypatch.setattr(savings, "time_models", machine.time_models)
        machine.shares(model, machine.units)

    assert sum(quiet.rounds) < sum(busy.rounds)


def test_when_time_is_up_it_goes_on_only_until_all_surely_save(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each block is known to a quarter of itself, not to a twentieth, and no interval reaches zero."""
    model = chain(3)
    machine = on(monkeypatch, model, [0.4] * 3, noise=0.25)

    shares = machine.shares(model, machine.units, budget_seconds=0)

    assert all(share.low > 0 for share in shares.values())
    assert max(machine.rounds) < 300
    assert all(share.high - share.low > 0.1 * share.value for share in shares.values())


def test_a_block_that_takes_no_time_has_an_interval_around_zero(monkeypatch: pytest.MonkeyPatch) -> None:
    model = chain(3)
    machine = on(monkeypatch, model, [0.0] * 3)

    shares = machine.shares(model, machine.units)

    assert all(share.low <= 0 <= share.high for share in shares.values())


def test_no_more_networks_are_open_than_the_memory_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two networks and the whole fit; the kinds and their outer members are timed two by two."""
    model = chain(3)
    machine = on(monkeypatch, model, [0.8] * 3)
    size_bytes = len(model.to_bytes()) * savings.BYTES_OF_A_SESSION
    monkeypatch.setattr(savings, "SESSIONS_BYTES_MAX", 2 * size_bytes)

    shares = machine.shares(model, machine.units)

    assert machine.together == [2, 2]
    assert [share.value for share in shares.values()] == pytest.approx([0.08] * 3, rel=0.1)


def test_quickly_only_networks_without_a_whole_kind_are_timed(monkeypatch: pytest.MonkeyPatch) -> None:
    model = chain(5)
    machine = on(monkeypatch, model, [1.0] * 5)

    shares = latency_shares(model, machine.units, Deploy(), {}, seed=0, budget_seconds=60, quickly=True)

    assert machine.together == [2]
    assert [share.value for share in shares.values()] == pytest.approx([0.1] * 5, abs=0.003)
