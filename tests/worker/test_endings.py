"""A child that went over a limit is told which, whatever it was to do."""

from __future__ import annotations

from dataclasses import replace

import pytest

from worker.endings import limit_exceeded
from worker.isolation import Ending
from worker.limits import ChildLimits

LIMITS = ChildLimits(wall_seconds=20, memory_bytes=1024**3, disk_bytes=2 * 1024**3)
KILLED = Ending(exit_code=None, signal=9, stopped_for=None, out_of_memory=False, log_tail=b"")


@pytest.mark.parametrize(
    ("ending", "code", "words"),
    [
        (replace(KILLED, stopped_for="timeout"), "job-timeout", "20 s"),
        (replace(KILLED, stopped_for="disk"), "disk-limit", "2.0 GiB"),
        (replace(KILLED, out_of_memory=True), "out-of-memory", "1.0 GiB"),
    ],
)
def test_a_limit_that_was_exceeded_is_named(ending: Ending, code: str, words: str) -> None:
    found = limit_exceeded(ending, LIMITS)

    assert found is not None
    assert found["code"] == code
    assert words in found["detail"]


def test_a_child_that_kept_its_limits_exceeded_none() -> None:
    assert limit_exceeded(KILLED, LIMITS) is None
