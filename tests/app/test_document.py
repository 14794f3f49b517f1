"""Laws that hold for every operation of the OpenAPI document, so that clients and tests can be generated from it."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from jsonschema import Draft202012Validator
from openapi_spec_validator import validate

from app.document import TAGS, operations
from app.document.headers import HEADERS
from app.document.links import PARAMETER_OF_VIEW, PLACES
from app.document.problems import codes_of
from app.problem_kinds import PROBLEMS

Operation = dict[str, Any]
JSON = "application/json"
PROGRAMS = Path(__file__).parents[2] / "examples" / "clients"


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    """The document as it is printed without a service."""
    printed = subprocess.run([sys.executable, "-m", "app.describe"], capture_output=True, check=True, text=True)
    found: dict[str, Any] = json.loads(printed.stdout)
    return found


@pytest.fixture(scope="module")
def all_operations(document: dict[str, Any]) -> list[tuple[str, str, Operation]]:
    return list(operations(document["paths"]))


def test_a_running_service_tells_the_same(client: httpx2.Client, document: dict[str, Any]) -> None:
    assert client.get("/openapi.json").json() == document


def test_it_keeps_to_the_specification(document: dict[str, Any]) -> None:
    validate(document)


def test_every_operation_has_a_name_a_summary_and_a_tag_that_is_described(
    all_operations: list[tuple[str, str, Operation]],
) -> None:
    ids = [operation["operationId"] for _, _, operation in all_operations]
    tags = {tag for _, _, operation in all_operations for tag in operation["tags"]}

    assert all(re.fullmatch("[a-z]+(_[a-z]+)*", name) for name in ids)
    assert len(ids) == len(set(ids)) >= 79
    assert all(operation["summary"] and operation["description"] for _, _, operation in all_operations)
    assert tags == set(TAGS)


def test_what_needs_a_key_says_so_and_what_needs_none_too(all_operations: list[tuple[str, str, Operation]]) -> None:
    for path, method, operation in all_operations:
        needs_key = path.startswith("/v1/") or path == "/metrics"
        assert operation["security"] == ([{"key": []}] if needs_key else []), (method, path)
        assert needs_key == ("401" in operation["responses"]), (method, path)


def test_every_refusal_names_its_codes_each_of_its_status(
    document: dict[str, Any], all_operations: list[tuple[str, str, Operation]]
) -> None:
    for path, method, operation in all_operations:
        for status, response in operation["responses"].items():
            codes = codes_of(response)
            assert bool(codes) == (int(status) >= 400 and method != "head"), (method, path, status)
            assert {PROBLEMS[code].status for code in codes} <= {int(status)}, (method, path, status)
            for code in codes:
                assert document["components"]["examples"][code]["value"]["code"] == code
                assert code in response["description"]


def test_every_code_of_the_catalogue_belongs_to_an_operation(
    all_operations: list[tuple[str, str, Operation]],
) -> None:
    named = {
        code for _, _, operation in all_operations for one in operation["responses"].values() for code in codes_of(one)
    }

    assert set(PROBLEMS) - named == {"method-not-allowed"}  # which is of a path, and of no operation


def test_every_response_tells_its_headers(all_operations: list[tuple[str, str, Operation]]) -> None:
    needed = {"201": "Location", "401": "WWW-Authenticate", "429": "Retry-After", "503": "Retry-After"}
    for path, method, operation in all_operations:
        is_idempotent = "Idempotency-Key" in [one["name"] for one in operation.get("parameters", [])]
        for status, response in operation["responses"].items():
            names = set(response["headers"])
            assert names <= set(HEADERS)
            assert {"Request-Id", needed.get(status, "Request-Id")} <= names, (method, path, status)
            assert ("Idempotency-Replayed" in names) == (is_idempotent and status[0] == "2"), (method, path, status)


def _bodies(operation: Operation) -> Iterator[dict[str, Any]]:
    for place in (operation.get("requestBody", {}), *operation["responses"].values()):
        yield from place.get("content", {}).values()


def test_every_body_has_a_schema_and_every_json_an_example_that_keeps_to_it(
    document: dict[str, Any], all_operations: list[tuple[str, str, Operation]]
) -> None:
    components = document["components"]
    for path, method, operation in all_operations:
        for status, response in operation["responses"].items():
            has_body = method != "head" and status not in ("204", "304", "307")
            assert has_body == bool(response.get("content")), (method, path, status)
        for content in _bodies(operation):
            assert content["schema"], (method, path)
            for shown in content.get("examples", {}).values():
                there = shown if "value" in shown else components["examples"][shown["$ref"].rpartition("/")[2]]
                Draft202012Validator(content["schema"] | {"components": components}).validate(there["value"])
        json_bodies = [place.get("content", {}).get(JSON) for place in operation["responses"].values()]
        assert all(body is None or body["examples"] for body in json_bodies), (method, path)


def test_every_parameter_has_an_example_that_keeps_to_its_schema(
    document: dict[str, Any], all_operations: list[tuple[str, str, Operation]]
) -> None:
    components = {"components": document["components"]}
    for path, method, operation in all_operations:
        for parameter in operation.get("parameters", []):
            errors = list(Draft202012Validator(parameter["schema"] | components).iter_errors(parameter["example"]))
            assert errors == [], (method, path, parameter["name"])


def test_whatever_is_made_or_listed_is_linked_to_all_that_can_be_done_with_it(
    all_operations: list[tuple[str, str, Operation]],
) -> None:
    """Each operation that takes an id can be reached from one that tells it, and no link leaves an id open."""
    paths = {operation["operationId"]: path for path, _, operation in all_operations}
    reached = set()
    for _path, _method, operation in all_operations:
        for response in operation["responses"].values():
            for link in response.get("links", {}).values():
                assert "requestBody" in link or set(link["parameters"]) == set(
                    PLACES.findall(paths[link["operationId"]])
                )
                reached.add(link["operationId"])
    takers = {name for name, path in paths.items() if set(PLACES.findall(path)) <= set(PARAMETER_OF_VIEW.values())}
    without_id = {name for name, path in paths.items() if not PLACES.findall(path)}

    assert takers - without_id <= reached
    assert {"create_model", "create_dataset", "create_job", "estimate_job"} <= reached


def test_the_quick_starts_of_generated_clients_ask_for_what_there_is(
    all_operations: list[tuple[str, str, Operation]],
) -> None:
    """`python -m benchmarks.clients` runs them; here it is only seen that nothing was renamed under them."""
    python, typescript = ((PROGRAMS / name).read_text() for name in ("quick_start.py", "quick_start.ts"))
    imported = re.findall(r"from secateur_api\.api\.(\w+) import (.+)", python)
    called = re.findall(r'client\.([A-Z]+)\("([^"]+)"', typescript)

    known = {(tag, one["operationId"]) for _, _, one in all_operations for tag in one["tags"]}
    assert {(tag, name) for tag, names in imported for name in names.split(", ")} <= known
    assert {(method.lower(), path) for method, path in called} <= {(method, path) for path, method, _ in all_operations}
    assert len(imported) == 5
    assert len(called) == 7


def test_generators_of_clients_find_nothing_that_they_stumble_over(document: dict[str, Any]) -> None:
    """Names that two classes share become long ones; a default that is an object drops the class that has it."""
    schemas = document["components"]["schemas"]

    assert [name for name in schemas if "__" in name or not re.fullmatch(r"[A-Z]\w+", name)] == []
    assert '"default": {' not in json.dumps(schemas)


def test_every_schema_says_what_a_schema_can_say(document: dict[str, Any]) -> None:
    """A bound that pydantic cannot translate stands there in its own word, which no reader knows."""
    found = json.dumps(document["components"]["schemas"])

    assert [word for word in ("gt", "ge", "lt", "le", "strict") if f'"{word}":' in found] == []
