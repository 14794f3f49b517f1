"""Progress never falls, ends at one, and knows how long each stage took."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine import progress as progress_module
from engine.progress import OF_A_CANDIDATE, STAGES, CandidateStages, Progress, Update, candidate


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


def run_front(progress: Progress, candidates: int) -> None:
    for name in [name for name in STAGES if name not in OF_A_CANDIDATE]:
        with progress.stage(name):
            pass
    progress.expect_candidates(candidates)
    for number in range(1, candidates + 1):
        with progress.stage(candidate(number)) as tell:
            stages = CandidateStages(tell)
            for name in OF_A_CANDIDATE:
                with stages.stage(name) as tell_stage:
                    tell_stage(0.5, "half")


@pytest.mark.parametrize("candidates", [None, 3])
def test_further_files_come_last_and_the_fraction_ends_with_them(candidates: int | None) -> None:
    seen: list[Update] = []
    progress = Progress(seen.append)
    progress.expect_outputs()

    if candidates is not None:
        run_front(progress, candidates)
    else:
        for name in STAGES:
            with progress.stage(name):
                pass
    before = seen[-1].fraction
    with progress.stage("outputs") as tell:
        tell(0.5, "making int8")

    assert before < 0.96
    assert before < seen[-2].fraction < seen[-1].fraction == 1
    assert [update.fraction for update in seen] == sorted(update.fraction for update in seen)


@pytest.mark.parametrize("candidates", [1, 2, 10])
def test_each_candidate_of_a_front_is_a_stage_and_the_fraction_never_falls(candidates: int) -> None:
    seen: list[Update] = []
    progress = Progress(seen.append)

    run_front(progress, candidates)

    fractions = [update.fraction for update in seen]
    assert fractions == sorted(fractions)
    assert fractions[-1] == pytest.approx(1)
    told = [stage.name for stage in progress.stages]
    shared = [name for name in STAGES if name not in OF_A_CANDIDATE]
    assert told == [*shared, *(candidate(number) for number in range(1, candidates + 1))]
    assert "recover: half" in [update.message for update in seen]


class FakeTime:
    """A clock that the test moves."""

    def __init__(self) -> None:
        self.now = 100.0

    def monotonic(self) -> float:
        return self.now


def test_the_time_left_follows_the_running_stage_and_never_exceeds_the_budget(monkeypatch: pytest.MonkeyPatch) -> None:
    """At first the job's pace is all that is known, within the budget; half-way, a stage's own pace tells more."""
    clock, seen = FakeTime(), list[Update]()
    monkeypatch.setattr(progress_module, "time", clock)
    progress = Progress(seen.append, budget_seconds=60)
    names, total = list(STAGES), sum(STAGES.values())
    before = sum(STAGES[name] for name in names[: names.index("recover")]) / total
    rest = STAGES["recover"] / total / 2

    for name in names[: names.index("recover")]:
        with progress.stage(name):
            clock.now += 2
    with progress.stage("recover") as tell:
        clock.now += 10
        tell(0.5, "half of the steps")

    elapsed = 2 * names.index("recover") + 10
    later = 1 - before - 2 * rest
    assert seen[-2].message == "half of the steps"
    assert seen[-2].eta_seconds == pytest.approx(10 + elapsed / (before + rest) * later)
    told = [update.eta_seconds for update in seen if update.eta_seconds is not None]
    assert told
    assert max(told) <= 60
