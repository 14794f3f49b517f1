"""What schemathesis is told beside the document: our own check, what it must leave alone, and the count.

It is loaded by the `schemathesis` command, whose configuration names it; what it counted goes to the file that the
variable CONTRACT_COUNTS names.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from pathlib import Path
from typing import Any, Final

import schemathesis
from schemathesis.cli import EventHandler, handler
from schemathesis.core.transport import Response
from schemathesis.engine import Status, events

from app.document import operations
from app.document.problems import codes_of
from app.errors import MEDIA_TYPE
from app.problem_kinds import PROBLEMS

OWN: Final = {"key_admin", "prj_default", "org_default"}
"""What the run itself lives on: were its key revoked or its project's pace slowed, all else would be 401 or 429."""

NOBODYS: Final = "key_00000000000000000000000000"
MOST_TOLD: Final = 200
LONGEST_MESSAGE: Final = 600


@schemathesis.serializer("application/partial-upload")
def as_it_is(_context: Any, value: Any) -> bytes:
    """Send the bytes of a part as they were drawn."""
    drawn = getattr(value, "data", value)
    return drawn if isinstance(drawn, bytes) else str(drawn).encode()


@schemathesis.hook
def before_call(_context: Any, case: Any, _kwargs: Any) -> None:
    """Leave the run's own key, project and organisation as they are."""
    if case.method in ("PATCH", "DELETE"):
        for name, value in (case.path_parameters or {}).items():
            if value in OWN:
                case.path_parameters[name] = NOBODYS


@schemathesis.hook
def before_load_schema(_context: Any, document: dict[str, Any]) -> None:
    """Have nobody wait longer than a second for a job: a paused one would hold up the run."""
    for _path, _method, operation in operations(document["paths"]):
        for parameter in operation.get("parameters", []):
            if parameter["name"] == "Prefer":
                parameter["example"] = "wait=1"


@schemathesis.check
def refusals_are_problems(_context: Any, response: Response, case: Any) -> None:
    """Every 4xx and 5xx is a problem with a code of the catalogue that the operation says it may answer with."""
    status = response.status_code
    if status < 400:
        return
    assert response.headers["content-type"] == [MEDIA_TYPE], response.headers["content-type"]
    if response.request.method == "HEAD":
        return
    problem = json.loads(response.content)
    code = problem["code"]
    assert code in PROBLEMS, f"{code} is in no catalogue"
    assert PROBLEMS[code].status == status == problem["status"], (
        f"{code} belongs to {PROBLEMS[code].status}, not {status}"
    )
    assert [problem["request_id"]] == response.headers["request-id"]
    if code != "method-not-allowed" and response.request.method == case.operation.method.upper():
        promised = case.operation.definition.raw["responses"].get(str(status), {})
        assert code in codes_of(promised), f"the document does not say that {case.operation.label} answers {code}"


@handler()
class Count(EventHandler[Any]):
    """Counts cases by phase, operation and status, and keeps what failed."""

    def __init__(self, *_arguments: Any, **_parameters: Any) -> None:
        self.cases: Counter[tuple[str, str, int]] = Counter()
        self.failures: list[dict[str, str]] = []

    def handle_event(self, _context: Any, event: events.EngineEvent) -> None:
        if isinstance(event, events.NonFatalError | events.FatalError):
            self.failures.append({"check": "schemathesis", "message": repr(event)[:LONGEST_MESSAGE]})
        if not isinstance(event, events.ScenarioFinished):
            return
        for case_id, interaction in event.recorder.interactions.items():
            response = interaction.response
            label = event.recorder.cases[case_id].value.operation.label
            self.cases[event.phase.value, label, response.status_code if response else 0] += 1
        for case_id, checks in event.recorder.checks.items():
            for check in checks:
                if check.status != Status.SUCCESS and check.failure_info is not None:
                    self._keep(event, case_id, check)

    def _keep(self, event: events.ScenarioFinished, case_id: str, check: Any) -> None:
        if len(self.failures) < MOST_TOLD:
            label = event.recorder.cases[case_id].value.operation.label
            failure = check.failure_info.failure
            said = f"{failure.title}: {failure.message}"[:LONGEST_MESSAGE]
            told = {"check": check.name, "operation": label, "phase": event.phase.value, "message": said}
            self.failures.append(told | {"request": check.failure_info.code_sample[:LONGEST_MESSAGE]})

    def shutdown(self, _context: Any) -> None:
        cases = [
            {"phase": phase, "operation": name, "status": status, "cases": count}
            for (phase, name, status), count in sorted(self.cases.items())
        ]
        Path(os.environ["CONTRACT_COUNTS"]).write_text(json.dumps({"cases": cases, "failures": self.failures}))
