"""One run of schemathesis: with which seed, phases and checks; and what it counted."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, Final, NamedTuple

from benchmarks.contract.site import Known, Site

PHASES: Final = ("examples", "coverage", "fuzzing", "stateful")
DRAWN: Final = ("fuzzing", "stateful")
"""What another seed makes anew; the others would be the same again."""

ROOT: Final = Path(__file__).parents[2]
LEFT_OUT: Final = {
    # What a name may contain, which parts of a recipe go together, which time has passed: the shapes cannot say it.
    "positive_data_acceptance": "a body may have the right shape and still not make sense",
}
REFUSES: Final = [400, 401, 403, 404, 405, 406, 409, 410, 412, 413, 415, 416, 422, 429, 460]
"""What counts as refusing what the document forbids."""

FORGIVING: Final = ["create_upload", "append_to_upload"]
"""Their headers are those of a draft which says: a header of another type is as if it were not there."""

HALF: Final = 0.5
SCENARIOS: Final = 5
"""So many stateful scenarios for each example of an operation; a scenario is of all operations together."""


class Slice(NamedTuple):
    """What one run is: its seed is all that it takes to repeat it on a fresh service."""

    seed: int
    examples: int
    phases: tuple[str, ...] = PHASES


class Counts(NamedTuple):
    """Rows of phase, operation, status and number; and what failed, with the request that shows it."""

    cases: list[dict[str, Any]]
    failures: list[dict[str, str]]

    @property
    def total(self) -> int:
        return sum(int(row["cases"]) for row in self.cases)


def run(site: Site, asked: Slice) -> Counts:
    """Run schemathesis once over every operation of the service's own document. It waits until it has ended."""
    with tempfile.TemporaryDirectory() as folder:
        settings, counts = Path(folder, "schemathesis.toml"), Path(folder, "counts.json")
        settings.write_text(_settings(site.known, asked))
        command = [sys.executable, "-m", "schemathesis.cli", "--config-file", str(settings), "run"]
        command += [f"{site.url}/openapi.json", "--header", f"Authorization: Bearer {site.key}", "--no-color"]
        command += ["--seed", str(asked.seed), "--phases", ",".join(asked.phases), "--wait-for-schema", "10"]
        environment = os.environ | {"CONTRACT_COUNTS": str(counts), "PYTHONPATH": str(ROOT)}
        ended = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
        if not counts.exists():
            raise RuntimeError(f"schemathesis did not run:\n{ended.stdout[-2000:]}\n{ended.stderr[-2000:]}")
        found = json.loads(counts.read_text())
    return Counts(found["cases"], found["failures"])


def _settings(known: Known, asked: Slice) -> str:
    """Write the configuration: half of all ids are such as there are, and every failure of an operation is told."""
    lines = ['hooks = "benchmarks.contract.hooks"', "continue-on-failure = true", "request-timeout = 30"]
    lines += ['suppress-health-check = ["all"]', "warnings = false"]
    lines += ["[cache]", "enabled = false"]
    lines += ["[generation]", f"max-examples = {asked.examples}", "no-shrink = true", 'database = "none"']
    lines += ["[phases.stateful.generation]", f"max-examples = {SCENARIOS * asked.examples}"]
    for check in LEFT_OUT:
        lines += [f"[checks.{check}]", "enabled = false"]
    lines += ["[checks.negative_data_rejection]", f"expected-statuses = {REFUSES}"]
    lines += ["[[operations]]", f"include-operation-id = {json.dumps(FORGIVING)}"]
    lines += ["[operations.checks.negative_data_rejection]", "enabled = false"]
    for name, values in known.items():
        lines += [f"[dictionaries.{name}]", f"values = {json.dumps(values)}"]
    lines.append("[parameters]")
    for name in known:
        places = ["path"] + ["body"] * (name in ("upload_id", "model_id", "dataset_id"))
        lines += [f'"{place}.{name}" = {{ dictionary = "{name}", probability = {HALF} }}' for place in places]
    return "\n".join(lines) + "\n"
