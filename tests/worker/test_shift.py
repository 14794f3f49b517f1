"""A worker process between its start and its drain."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.interrupted import ROUNDS, interrupted
from worker import shift


def test_a_signal_is_heard_in_whatever_moment_it_comes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shift, "LOOK_SECONDS", 0.00005)

    def working() -> tuple[Callable[[], object], Callable[[], object]]:
        ours = shift.Shift()
        return ours.wait, ours.told_to_stop

    assert interrupted(working) == ROUNDS
