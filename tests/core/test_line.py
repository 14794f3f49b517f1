"""Waits: own jobs at their own prices, others at their project's mean, in turn, and every slot an equal share."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.jobs.line import NOTHING, Line, Work, together

WORKS = st.builds(
    lambda jobs, each, late: Work(jobs, jobs * each, jobs * each * late),
    st.integers(0, 20),
    st.floats(1, 1000),
    st.floats(1, 5),
)
LINES = st.builds(Line, st.integers(1, 8), WORKS, st.dictionaries(st.sampled_from("abcd"), WORKS))


def test_each_job_ahead_counts_at_its_own_price() -> None:
    line = Line(slots=2, running=Work(2, 60.0, 120.0))
    own = together([Work(1, 1000.0, 1120.0), Work(1, 60.0, 180.0)])

    assert line.wait(line.before(own)) == (560.0, 710.0)
    assert line.wait(NOTHING) == (30.0, 60.0)


@given(each=st.lists(st.floats(1, 1000), min_size=2, max_size=9), own=st.integers(1, 9))
def test_of_another_project_the_mean_of_its_jobs_counts(each: list[float], own: int) -> None:
    """Which of them go first is not known here, so that their order changes nothing."""
    theirs = together(Work(1, seconds, 2 * seconds) for seconds in each)

    before = Line(slots=1, others={"a": theirs}).before(Work(own, 0.0, 0.0))

    first = min(own, len(each))
    assert before.jobs == own + first
    assert before.middle_seconds == pytest.approx(first * sum(each) / len(each))


def test_a_free_slot_takes_a_job_at_once_and_without_one_nobody_can_say() -> None:
    assert Line(slots=3, running=Work(2, 60.0, 120.0)).wait(NOTHING) == (0.0, 0.0)
    assert Line(slots=0).wait(NOTHING) == (None, None)


@given(line=LINES, own=WORKS, others=st.integers(0, 60))
def test_as_many_stand_before_as_the_place_in_the_queue_tells(line: Line, own: Work, others: int) -> None:
    theirs = sum(work.jobs for work in line.others.values())

    before = line.before(own, others)

    assert before.jobs == own.jobs + min(others, theirs)
    taken = line.before(own)
    assert line.before(own, taken.jobs - own.jobs) == taken


@given(line=LINES, own=WORKS, more=WORKS)
def test_more_work_ahead_is_never_a_shorter_wait(line: Line, own: Work, more: Work) -> None:
    shorter, longer = line.wait(own), line.wait(together((own, more)))

    assert shorter.p50_seconds is not None
    assert shorter.p90_seconds is not None
    assert longer.p50_seconds is not None
    assert longer.p90_seconds is not None
    assert 0 <= shorter.p50_seconds <= longer.p50_seconds
    assert shorter.p50_seconds <= shorter.p90_seconds <= longer.p90_seconds
