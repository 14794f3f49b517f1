"""How fast a key may ask: told with every answer, refused with the time to wait, and counted key by key."""

from __future__ import annotations

import re

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.memory.paces import WINDOW_SECONDS, Paces
from app.services import Services
from tests.app.running import Service, assert_problem


class Clock:
    """A clock that goes as it is told."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@given(st.integers(1, 500), st.lists(st.floats(0, 90), max_size=60))
def test_no_window_lets_more_than_two_limits_pass_and_a_refusal_tells_the_truth(limit: int, gaps: list[float]) -> None:
    """A full bucket and what flows in during the window: a burst and a minute's share."""
    clock = Clock()
    paces = Paces(clock)
    passed: list[float] = []
    for gap in gaps:
        clock.now += gap
        pace = paces.ask("key", limit)
        if pace.wait_seconds == 0:
            passed.append(clock.now)
        else:
            clock.now += pace.wait_seconds
            assert paces.ask("key", limit).wait_seconds == 0, "after the wait it passes"
            passed.append(clock.now)

    for start in passed:
        assert sum(start <= at < start + WINDOW_SECONDS for at in passed) <= 2 * limit


@given(st.integers(1, 200))
def test_a_burst_of_the_limit_passes_and_no_more(limit: int) -> None:
    paces = Paces(Clock())
    found = [paces.ask("key", limit) for _ in range(limit + 1)]

    assert [pace.left for pace in found] == [*range(limit - 1, -1, -1), 0]
    assert [pace.wait_seconds > 0 for pace in found] == [False] * limit + [True]
    assert paces.ask("another key", limit).wait_seconds == 0


def test_a_key_that_rests_has_all_of_its_limit_again() -> None:
    clock = Clock()
    paces = Paces(clock)
    spent = [paces.ask("key", 10) for _ in range(10)][-1]
    clock.now += spent.full_in_seconds

    assert paces.ask("key", 10).left == 9


def test_keys_that_rest_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.memory.paces.CAPACITY", 3)
    clock = Clock()
    paces = Paces(clock)
    for number in range(20):
        paces.ask(f"key_{number}", 1)
        clock.now += WINDOW_SECONDS

    assert len(paces._full_at) <= 3


def slowed(service: Service, project_id: str, limit: int) -> httpx2.Client:
    """Open a client of a fresh project whose keys may ask so often."""
    key = service.new_project(project_id)
    with service.client() as operator:
        operator.patch(f"/v1/projects/{project_id}", json={"limits": {"requests_per_minute": limit}})
    return service.client(key)


def test_every_answer_tells_what_is_left(service: Service) -> None:
    with slowed(service, "prj_paced000000000000000000000", 5) as client:
        answers = [client.get(path) for path in ("/v1/me", "/v1/jobs/job_0", "/v1/usage")]

    assert [answer.status_code for answer in answers] == [200, 404, 200]
    assert {answer.headers["RateLimit-Policy"] for answer in answers} == {'"key";q=5;w=60'}
    assert [re.fullmatch(r'"key";r=(\d);t=\d+', answer.headers["RateLimit"])[1] for answer in answers] == list("432")  # type: ignore[index]


def test_a_key_that_asks_too_often_is_told_when_to_come_back(service: Service) -> None:
    with slowed(service, "prj_paced000000000000000000001", 3) as client:
        answers = [client.get("/v1/me") for _ in range(4)]
        other = service.client(service.new_key(project_id="prj_paced000000000000000000001"))

        problem = assert_problem(answers[-1], 429, "rate-limited", "3 times a minute")
        assert problem["retryable"] is True
        assert 1 <= int(answers[-1].headers["Retry-After"]) <= 20
        assert answers[-1].headers["RateLimit"].startswith('"key";r=0;t=')
        with other:
            assert other.get("/v1/me").status_code == 200


def test_a_health_check_is_asked_without_a_key_and_without_a_pace(service: Service) -> None:
    assert "RateLimit" not in httpx2.get(service.url + "/healthz", timeout=30).headers


def test_the_stricter_of_the_settings_and_the_project_holds(service: Service) -> None:
    services: Services = service.services
    default = services.settings.requests_per_minute
    assert default is not None

    assert [services.pace_of(limit) for limit in (None, 7, default + 1)] == [default, 7, default]
