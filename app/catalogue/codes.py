"""Every code that the `type` of a problem can name: a request's refusals, a worker's findings, the engine's errors."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from app.catalogue.job_codes import EXPLANATIONS
from app.errors import as_problem
from app.problem_kinds import PROBLEMS
from core.problems import JOB_ERRORS, Problem, from_engine, job_problem
from engine.errors import EngineError

SHOWN: Final = ("type", "title", "status", "code", "retryable")


def explained(code: str) -> dict[str, Any] | None:
    """Return what is the same in every problem of this code; None when nobody here ever says it."""
    found = _problem(code)
    return None if found is None else {key: found[key] for key in SHOWN} | {"explanation": _explanation(code)}


def _explanation(code: str) -> str:
    return PROBLEMS[code].explanation if code in PROBLEMS else EXPLANATIONS[code]


def _problem(code: str) -> Problem | None:
    if code in PROBLEMS:
        return as_problem(code, "")
    if code in JOB_ERRORS:
        return job_problem(code, "")
    kind = next((kind for kind in _kinds(EngineError) if kind.code == code), None)
    return None if kind is None else from_engine(kind("").as_dict())


def _kinds(root: type[EngineError]) -> Iterator[type[EngineError]]:
    yield root
    for kind in root.__subclasses__():
        yield from _kinds(kind)
