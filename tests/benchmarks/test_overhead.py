"""What the benchmark of the service's overhead concludes from its pairs."""

from __future__ import annotations

import pytest

from benchmarks.overhead import ALLOWED_SECONDS, ALLOWED_SHARE, STEPS, summary


def pairs(*added: float, engine: float = 100.0) -> list[dict[str, float]]:
    """Return pairs whose job takes so long by the command line, and so much longer by the service."""
    return [{"engine": engine, "service": engine + more, **dict.fromkeys(STEPS, 1.0)} for more in added]


@pytest.mark.parametrize("engine", [10.0, 100.0, 1000.0])
def test_the_bound_is_the_allowed_seconds_and_share(engine: float) -> None:
    allowed = ALLOWED_SECONDS + ALLOWED_SHARE * engine

    assert summary(pairs(allowed - 0.01, engine=engine))["holds"]
    assert not summary(pairs(allowed + 0.01, engine=engine))["holds"]


def test_one_pair_that_a_neighbour_slowed_decides_nothing() -> None:
    found = summary(pairs(3.0, 60.0, 2.0, 4.0, 3.5))

    assert (found["added_seconds"], found["pairs"], found["holds"]) == (3.5, 5, True)
