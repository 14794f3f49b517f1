"""Progress never falls, ends at one, and knows how long each stage took."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from engine.progress import STAGES, Progress, Update


@given(told=st.lists(st.floats(-1, 2), max_size=8))
def test_the_fraction_never_falls_whatever_a_stage_says(told: list[float]) -> None:
    seen: list[Update] = []
    progress = Progress(seen.append)

    for name in STAGES:
        with progress.stage(name) as tell:
            for fraction in told:
                tell(fraction, "working")

    fractions = [update.fraction for update in seen]
    assert fractions == sorted(fractions)
    assert fractions[-1] == 1.0
    assert [stage.name for stage in progress.stages] == list(STAGES)


def test_no_estimate_is_given_before_there_is_a_basis() -> None:
    seen: list[Update] = []
    progress = Progress(seen.append)

    with progress.stage("load"):
        pass

    assert all(update.eta_seconds is None for update in seen)
