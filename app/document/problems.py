"""What every operation of a kind can be refused with, so that no decorator has to say it."""

from __future__ import annotations

from typing import Any, Final

from app.errors import MEDIA_TYPE, as_problem
from app.openapi import ProblemView, described
from app.problem_kinds import PROBLEMS

OF_EVERY_KEYED: Final = (
    "unauthorized",
    "key-expired",
    "forbidden-scope",
    "rate-limited",
    "internal-error",
    "database-unavailable",
)
OF_JSON: Final = ("malformed-json", "bad-request", "request-too-large", "unknown-field")
OF_IDEMPOTENT: Final = ("idempotency-in-progress", "idempotency-mismatch")


def add_problems(operation: dict[str, Any], *, is_keyed: bool) -> None:
    """Add to an operation's responses the problems that its kind has beside those that its decorator names."""
    responses = operation["responses"]
    found = [code for response in responses.values() for code in codes_of(response)]
    if responses.pop("422", None) is not None or "requestBody" in operation:
        found.append("validation-failed")
    if "application/json" in operation.get("requestBody", {}).get("content", {}):
        found += OF_JSON
    if any(parameter["name"] == "Idempotency-Key" for parameter in operation.get("parameters", [])):
        found += OF_IDEMPOTENT
    if is_keyed:
        found += OF_EVERY_KEYED
    in_order = [code for code in PROBLEMS if code in found]
    for status in dict.fromkeys(PROBLEMS[code].status for code in in_order):
        responses[str(status)] = described([code for code in in_order if PROBLEMS[code].status == status])
    operation["responses"] = dict(sorted(responses.items()))


def codes_of(response: dict[str, Any]) -> list[str]:
    """Return the codes of the problems that a response of the document can be."""
    return list(response.get("content", {}).get(MEDIA_TYPE, {}).get("examples", {}))


def problem_schemas() -> dict[str, Any]:
    """Return the shape of a problem, for the components."""
    problem = ProblemView.model_json_schema(ref_template="#/components/schemas/{model}")
    others: dict[str, Any] = problem.pop("$defs")
    return others | {"ProblemView": problem}


def problem_examples(paths: dict[str, Any]) -> dict[str, Any]:
    """Return an example of every problem that any operation can answer with, by its code, for the components."""
    named = {
        code
        for methods in paths.values()
        for operation in methods.values()
        for response in operation["responses"].values()
        for code in codes_of(response)
    }
    request = {"request_id": "req_5f0c1d2e3a4b5c6d7e8f9a0b"}
    return {
        code: {
            "summary": kind.title,
            "description": kind.explanation,
            "value": as_problem(code, f"{kind.title}: what was found, what to do.") | request,
        }
        for code, kind in PROBLEMS.items()
        if code in named
    }
