"""The plan of least harm, held against trying every subset."""

from __future__ import annotations

from itertools import combinations

from hypothesis import given, settings
from hypothesis import strategies as st

from engine.search.knapsack import TICKS, Candidate, choose, most

candidates = st.lists(
    st.tuples(st.floats(0, 1, allow_subnormal=False), st.floats(-0.1, 0.3, allow_subnormal=False)), max_size=9
).map(lambda pairs: [Candidate(f"unit{i}", harm, saving) for i, (harm, saving) in enumerate(pairs)])


def least_harm(found: list[Candidate], needed: float) -> float | None:
    """Try every subset."""
    useful = [candidate for candidate in found if candidate.saving > 0]
    covers = [
        sum(c.harm for c in subset)
        for size in range(len(useful) + 1)
        for subset in combinations(useful, size)
        if sum(c.saving for c in subset) >= needed
    ]
    return min(covers, default=None)


@settings(deadline=None)
@given(found=candidates, needed=st.floats(0.01, 1.0))
def test_no_other_subset_that_covers_does_less_harm(found: list[Candidate], needed: float) -> None:
    """Savings are rounded down to ticks, so a subset within that rounding of the need may be passed over."""
    chosen = choose(found, needed)

    if chosen is None:
        assert least_harm(found, needed) is None
        return
    by_name = {candidate.name: candidate for candidate in found}
    rounding = needed * (len(found) + 1) / TICKS
    strict = least_harm(found, needed + rounding)
    assert sum(by_name[name].saving for name in chosen) >= needed - rounding
    if strict is not None:
        assert sum(by_name[name].harm for name in chosen) <= strict + 1e-9


@given(found=candidates, needed=st.floats(0.01, 1.0))
def test_a_cut_that_saves_nothing_is_never_chosen(found: list[Candidate], needed: float) -> None:
    chosen = choose(found, needed) or []

    assert all(candidate.saving > 0 for candidate in found if candidate.name in chosen)


def test_nothing_is_chosen_when_nothing_is_needed() -> None:
    assert choose([Candidate("a", 0.1, 0.2)], 0.0) == []


@given(count=st.integers(1, 30), kept=st.integers(0, 29))
def test_equal_savings_are_counted_out_exactly(count: int, kept: int) -> None:
    """A third is 666 of 2000 ticks, and three of those fall short: three cuts must do all the same."""
    needed = max(count - kept, 1)

    chosen = choose([Candidate(str(index), 0.1 + index, 1.0) for index in range(count)], float(needed))

    assert chosen == [str(index) for index in range(needed)]


nested = st.lists(
    st.tuples(st.integers(-1, 3), st.floats(0, 1, allow_subnormal=False), st.floats(0.01, 0.3, allow_subnormal=False)),
    max_size=8,
).map(
    lambda rows: [
        Candidate(f"unit{i}", harm, saving, (f"unit{outer}",) if 0 <= outer < i and rows[outer][0] < 0 else ())
        for i, (outer, harm, saving) in enumerate(rows)
    ]
)


@settings(deadline=None)
@given(found=nested, needed=st.floats(0.01, 1.0))
def test_a_cut_and_what_is_inside_it_are_never_chosen_together(found: list[Candidate], needed: float) -> None:
    """Against every subset that holds no cut beside one that is inside of it."""
    rounding = needed * (len(found) + 1) / TICKS
    covers = [
        (sum(c.harm for c in subset), sum(c.saving for c in subset))
        for size in range(len(found) + 1)
        for subset in combinations(found, size)
        if not any(set(c.inside) & {other.name for other in subset} for c in subset)
    ]

    chosen = choose(found, needed)

    by_name = {candidate.name: candidate for candidate in found}
    if chosen is None:
        assert max(saved for _, saved in covers) < needed
        return
    assert not any(set(by_name[name].inside) & set(chosen) for name in chosen)
    assert sum(by_name[name].saving for name in chosen) >= needed - rounding
    strict = [harm for harm, saved in covers if saved >= needed + rounding]
    assert sum(by_name[name].harm for name in chosen) <= min(strict, default=float("inf")) + 1e-9
    assert sum(by_name[name].saving for name in most(found)) >= max(saved for _, saved in covers) - 1e-9
