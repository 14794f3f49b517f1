"""Jobs that cannot be: each is told where and why, before anything is written."""

from __future__ import annotations

import json
from typing import Any

import httpx2
import pytest

from tests.app.running import (
    assert_problem,
    make_model,
)

BAD_JOBS: list[tuple[dict[str, Any], str, str, str]] = [
    ({"recipe": {"target": {"latency_ratio": 5}}}, "validation-failed", "/recipe/target/latency_ratio", "less than 1"),
    ({"recipe": {"target": {"latncy_ratio": 0.5}}}, "unknown-field", "/recipe/target/latncy_ratio", "'latency_ratio'"),
    ({"recipe": {"target": {}}}, "validation-failed", "/recipe/target", "exactly one"),
    (
        {"recipe": {"target": {"units": 1, "macs_ratio": 0.5}}},
        "validation-failed",
        "/recipe/target",
        "exactly one of",
    ),
    ({"recipe": {"target": {"units": 0}}}, "validation-failed", "/recipe/target/units", "greater than or equal to 1"),
    ({"recipe": {"target": {"latency_ms": "NaN"}}}, "validation-failed", "/recipe/target/latency_ms", ""),
    (
        {"recipe": {"target": {"latency_ratio": 0.5, "min_agreement": 2}}},
        "validation-failed",
        "/recipe/target/min_agreement",
        "",
    ),
    ({"recipe": {"budget_second": 60}}, "unknown-field", "/recipe/budget_second", "'budget_seconds'"),
    ({"recipe": {"budget_seconds": 1}}, "validation-failed", "/recipe/budget_seconds", "10"),
    ({"recipe": {"method": {"name": "magic"}}}, "validation-failed", "/recipe/method/name", "'magnitude'"),
    ({"recipe": {"method": {"name": {}}}}, "validation-failed", "/recipe/method/name", "Unknown method"),
    ({"recipe": {"method": {"name": [None]}}}, "validation-failed", "/recipe/method/name", "Unknown method"),
    ({"recipe": {"seed": True}}, "validation-failed", "/recipe/seed", "integer"),
    ({"recipe": {"budget_seconds": "60"}}, "validation-failed", "/recipe/budget_seconds", "number"),
    ({"recipe": {"target": {"units": True}}}, "validation-failed", "/recipe/target/units", "integer"),
    ({"recipe": {"target": {"latency_ratio": "0.5"}}}, "validation-failed", "/recipe/target/latency_ratio", "number"),
    ({"recipe": {"preprocess": {"resize": True}}}, "validation-failed", "/recipe/preprocess/resize", "integer"),
    ({"recipe": {"preprocess": {"mean": ["0.5"]}}}, "validation-failed", "/recipe/preprocess/mean/0", "number"),
    ({"priority": True}, "validation-failed", "/priority", "integer"),
    ({"priority": "1"}, "validation-failed", "/priority", "integer"),
    ({"recipe": {"deploy": {"thread": 2}}}, "unknown-field", "/recipe/deploy/thread", "'threads'"),
    ({"recipe": []}, "validation-failed", "/recipe", ""),
    ({"recipe": None}, "validation-failed", "/recipe", ""),
    ({"recipe": "fast"}, "validation-failed", "/recipe", ""),
    ({"model_id": 7}, "validation-failed", "/model_id", "string"),
    ({"model_id": None}, "validation-failed", "/model_id", "string"),
    ({"dataset_id": 1.5}, "validation-failed", "/dataset_id", "string"),
    ({"labels": {"a": 1}}, "validation-failed", "/labels/a", "string"),
    ({"labels": {"a": "\x00"}}, "validation-failed", "/labels/a", "cannot be printed"),
    ({"labels": {str(number): "x" for number in range(33)}}, "validation-failed", "/labels", "32"),
    ({"labels": ["a"]}, "validation-failed", "/labels", ""),
    ({"lables": {}}, "unknown-field", "/lables", "'labels'"),
]


@pytest.mark.parametrize(("body", "code", "pointer", "words"), BAD_JOBS)
def test_a_job_that_cannot_be_is_told_where_and_why(
    client: httpx2.Client, body: dict[str, Any], code: str, pointer: str, words: str
) -> None:
    response = client.post("/v1/jobs", json={"model_id": "mod_0"} | body)

    problem = assert_problem(response, 422, code, words)
    assert problem["errors"][0]["pointer"] == pointer
    assert pointer in problem["detail"]


def test_what_only_follows_from_another_error_is_not_told(client: httpx2.Client) -> None:
    """A list whose one item is refused is not too short besides; one that was sent without any is."""
    told = []
    for outputs in (["fp8"], ["fp16", "fp8", "int4"], []):
        answer = client.post("/v1/jobs", json={"model_id": "mod_0", "recipe": {"outputs": outputs}})
        told.append([(error["pointer"], error["code"]) for error in answer.json()["errors"]])

    first, second = ("/recipe/outputs/1", "literal-error"), ("/recipe/outputs/2", "literal-error")
    assert told == [[("/recipe/outputs/0", "literal-error")], [first, second], [("/recipe/outputs", "too-short")]]


def test_every_unknown_key_is_told_at_once(client: httpx2.Client) -> None:
    wrong = {"thread": 2, "bach": 8}
    answers = [
        client.post("/v1/jobs", json={"model_id": "mod_0", "recipe": recipe}) for recipe in (wrong, {"deploy": wrong})
    ]

    told = [error["pointer"] for answer in answers for error in answer.json()["errors"]]
    assert told == ["/recipe/thread", "/recipe/bach", "/recipe/deploy/thread", "/recipe/deploy/bach"]


@pytest.mark.parametrize("body", ['{"\\ud800": 1}', '{"model_id": "\\ud800"}', '{"labels": {"\\ud800": "x"}}'])
def test_half_a_character_is_refused_like_any_other_fault(client: httpx2.Client, body: str) -> None:
    """JSON can write what no text may hold; the refusal that names it must still be JSON."""
    response = client.post("/v1/jobs", content=body, headers={"Content-Type": "application/json"})

    assert response.status_code == 422
    assert response.json()["errors"]


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null", b'{"model_id": "mod_0", "x": 1}', b'{"model_id": NaN}'])
def test_what_is_wrong_is_told_in_the_same_words_whatever_the_way(client: httpx2.Client, body: bytes) -> None:
    """A sound body goes a short way where it is plain JSON; with a charset, or not sound, it goes the usual one."""
    told = []
    for kind in ("application/json", "application/json; charset=utf-8"):
        response = client.post("/v1/jobs", content=body, headers={"Content-Type": kind})
        problem = response.json()
        told.append((response.status_code, problem["code"], problem["detail"], problem["errors"]))

    assert told[0] == told[1]
    assert told[0][0] in {400, 422}


def test_a_sound_body_is_taken_by_either_way(client: httpx2.Client) -> None:
    body = json.dumps({"model_id": make_model(client), "labels": {"team": "é"}, "priority": 3}).encode()

    made = [
        client.post("/v1/jobs", content=body, headers={"Content-Type": kind}).json()
        for kind in ("application/json", "application/json; charset=utf-8")
    ]

    assert [(job["state"], job["labels"], job["priority"]) for job in made] == [("submitted", {"team": "é"}, 3)] * 2


@pytest.mark.parametrize("body", [b"[]", b'"x"', b"7", b"null", b""])
def test_a_body_that_is_no_object_is_refused(client: httpx2.Client, body: bytes) -> None:
    response = client.post("/v1/jobs", content=body, headers={"Content-Type": "application/json"})

    assert_problem(response, 422, "validation-failed")


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999"])
def test_a_number_that_is_none_is_refused(client: httpx2.Client, number: str) -> None:
    """The database could not give it back."""
    body = '{"model_id": "mod_0", "recipe": {"target": {"latency_ms": NUMBER}}}'.replace("NUMBER", number)

    response = client.post("/v1/jobs", content=body.encode(), headers={"Content-Type": "application/json"})

    assert_problem(response, 422, "validation-failed", "/recipe/target/latency_ms")


HUGE = 2**64


HUGE_RECIPES: list[dict[str, Any]] = [
    {"seed": HUGE},
    {"seed": -HUGE},
    {"budget_seconds": HUGE},
    {"target": {"units": HUGE}},
    {"deploy": {"batch": HUGE}},
    {"deploy": {"threads": HUGE}},
    {"preprocess": {"resize": HUGE}},
    {"preprocess": {"crop": HUGE}},
]


@pytest.mark.parametrize("recipe", HUGE_RECIPES, ids=str)
def test_a_number_beyond_64_bits_does_not_break_the_list(client: httpx2.Client, recipe: dict[str, Any]) -> None:
    """JSON may hold it, but not every reader's."""
    response = client.post("/v1/jobs", json={"model_id": make_model(client), "recipe": recipe})

    assert_problem(response, 422, "validation-failed", "/recipe/" + next(iter(recipe)))
    assert client.get("/v1/jobs").json()["jobs"] == []


@pytest.mark.parametrize("unknown", ["_0", "_" + "0" * 26, "_\x00", ""])
def test_ids_that_are_unknown_are_told_by_name(any_client: httpx2.Client, unknown: str) -> None:
    model_id = make_model(any_client)

    def ask(path: str, body: dict[str, str]) -> httpx2.Response:
        return any_client.post(path, content=json.dumps(body), headers={"Content-Type": "application/json"})

    assert_problem(ask("/v1/jobs", {"model_id": "mod" + unknown}), 404, "not-found", "model")
    assert_problem(ask("/v1/jobs", {"model_id": model_id, "dataset_id": "dat" + unknown}), 404, "not-found", "dataset")
    assert_problem(ask("/v1/models", {"upload_id": "upl" + unknown}), 404, "not-found", "upload")
    assert_problem(any_client.get("/v1/jobs/job_0"), 404, "not-found", "job_0")
