"""One reading for everything that goes wrong."""

from __future__ import annotations

import pytest

from client.problem import read_problem
from client.tables import problem_lines


def test_an_answer_and_a_failed_job_read_alike() -> None:
    answer = {"title": "t", "detail": "what was found", "code": "c", "retryable": True, "request_id": "req_1"}
    engine = {"title": "t", "message": "what was found", "code": "c", "retryable": True, "where": "node"}

    assert read_problem(answer).what == read_problem(engine).what == "what was found"
    assert read_problem(engine).where == "node"
    assert read_problem(answer).retryable


def test_several_complaints_are_listed_each_with_its_place() -> None:
    errors = [{"pointer": "/recipe/seed", "detail": "too large"}, {"pointer": "/recipe/deploy", "detail": "not known"}]

    problem = read_problem({"title": "t", "detail": "Two keys are wrong.", "errors": errors}, status=422)

    assert problem.where == "/recipe/seed: too large\n/recipe/deploy: not known"


def test_a_complaint_that_was_made_already_is_not_made_again() -> None:
    problem = read_problem(
        {"detail": "/recipe/seed: too large", "errors": [{"pointer": "/recipe/seed", "detail": "too large"}]}
    )

    assert problem.where == "/recipe/seed"


@pytest.mark.parametrize(("kind", "place"), [("pointer", "/recipe/seed"), ("parameter", "page_size")])
def test_lines_name_the_place_once(kind: str, place: str) -> None:
    errors = [{kind: place, "detail": "too large"}, {"pointer": "/recipe/deploy", "detail": "not known"}]
    value = {"title": "t", "detail": f"{place}: too large (and 1 more in errors)", "errors": errors}

    lines = problem_lines(read_problem(value, status=422)).splitlines()

    assert lines[1:] == [
        "  what:    too large (and 1 more in errors)",
        f"  where:   {place}",
        "           /recipe/deploy: not known",
    ]


def test_what_is_no_problem_object_is_told_by_its_status() -> None:
    for value in (None, "text", ["list"]):
        assert read_problem(value, status=502, fallback="Bad Gateway").what == "Bad Gateway"


def test_lines_name_what_where_and_what_to_do() -> None:
    value = {"title": "No key", "detail": "It is\x1b[1m wrong.", "code": "unauthorized", "request_id": "req_1"}

    lines = problem_lines(read_problem(value, status=401)).splitlines()

    assert lines[0] == "No key (unauthorized, HTTP 401)"
    assert lines[1] == "  what:    It is wrong."
    assert lines[2].startswith("  to do:   Give a valid key")
    assert lines[3] == "  request: req_1"
