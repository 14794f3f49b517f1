"""When a message is tried again."""

from __future__ import annotations

import pytest

from core.webhooks.schedule import JITTER, RETRY_SECONDS, wait_seconds


def test_ten_tries_span_about_three_days() -> None:
    waits = [wait_seconds(tries, 0.5) for tries in range(1, 10)]

    assert waits == pytest.approx(list(RETRY_SECONDS))
    assert 3.0 <= sum(RETRY_SECONDS) / 86400 <= 3.5
    assert wait_seconds(10, 0.5) is None


@pytest.mark.parametrize("tries", range(1, 10))
def test_the_jitter_is_a_fifth_each_way_and_no_more(tries: int) -> None:
    planned = RETRY_SECONDS[tries - 1]

    assert wait_seconds(tries, 0.0) == pytest.approx(planned * (1 - JITTER))
    assert wait_seconds(tries, 1.0) == pytest.approx(planned * (1 + JITTER))


def test_a_receivers_wish_makes_a_wait_longer_up_to_a_day_and_never_shorter() -> None:
    assert wait_seconds(1, 0.5, 60.0) == 60.0
    assert wait_seconds(2, 0.5, 60.0) == RETRY_SECONDS[1]
    assert wait_seconds(1, 0.5, 10.0**9) == 86400
