"""Open sizes reckon as the numbers do that they stand for."""

from __future__ import annotations

import math
from fractions import Fraction

from hypothesis import given, settings
from hypothesis import strategies as st

from engine.graph.shapes.sizes import Size, axis, is_equal, is_less, larger, smaller

BATCH, HEIGHT = axis("batch"), axis("height")
STEPS = {
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
    "//": lambda a, b: a // b,
    "%": lambda a, b: a % b,
}


def value(size: Size, batch: int, height: int) -> int:
    """Work out a size from how it is written."""
    names = {"batch": Fraction(batch), "height": Fraction(height), "floor": math.floor, "min": min, "max": max}
    return int(eval(str(size), names))


@settings(max_examples=200, derandomize=True, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from([*STEPS]), st.integers(1, 9)), max_size=4),
    st.integers(0, 40),
    st.integers(0, 40),
)
def test_arithmetic_is_that_of_numbers(steps: list[tuple[str, int]], batch: int, height: int) -> None:
    open_size: Size = BATCH * HEIGHT + HEIGHT
    number = batch * height + height
    for sign, operand in steps:
        open_size, number = STEPS[sign](open_size, operand), STEPS[sign](number, operand)

    assert value(open_size, batch, height) == number


@settings(max_examples=100, derandomize=True, deadline=None)
@given(st.integers(-5, 5), st.integers(-5, 5), st.integers(-5, 5), st.integers(0, 9), st.integers(0, 9))
def test_what_is_decided_holds(a: int, b: int, c: int, batch: int, height: int) -> None:
    left, right = BATCH * a + c, HEIGHT * b
    left_number, right_number = a * batch + c, b * height

    assert is_less(left, right) in (None, left_number < right_number)
    assert is_equal(left, right) in (None, left_number == right_number)
    assert value(smaller(left, right), batch, height) == min(left_number, right_number)
    assert value(larger(left, right), batch, height) == max(left_number, right_number)


def test_what_divides_evenly_comes_out() -> None:
    assert (HEIGHT * 4 + 3) // 2 == HEIGHT * 2 + 1
    assert BATCH * HEIGHT * 6 // (HEIGHT * 3) == BATCH * 2
    assert (HEIGHT - 1) // 2 + 1 == (HEIGHT + 1) // 2
    assert HEIGHT - HEIGHT == 0
    assert str(BATCH * 2) == "2*batch"
    assert str((HEIGHT + 1) // 2) == "floor((height + 1)/2)"
