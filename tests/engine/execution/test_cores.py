"""The number of cores, on machines that tell it and on machines that do not."""

from __future__ import annotations

import os

import pytest

from engine.execution.cores import usable_cores


def test_what_the_system_grants_counts_and_not_what_there_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {0, 3}, raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 64)

    assert usable_cores() == 2


@pytest.mark.parametrize(("counted", "usable"), [(8, 8), (None, 1), (4096, 256)])
def test_without_a_grant_the_cores_are_counted(
    counted: int | None, usable: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: counted)

    assert usable_cores() == usable
