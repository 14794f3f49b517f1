"""Where and on what a benchmark ran; results are kept beside it."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from engine.measure.environment import describe
from engine.recipe import Deploy

RESULTS = Path(__file__).parent / "results"


@dataclass(frozen=True)
class Machine:
    """What a figure must carry to be repeated."""

    commit: str
    date: str
    processor: str
    cores: int
    runtime: str

    def sentence(self) -> str:
        return f"Commit {self.commit}, {self.date}; {self.processor}, {self.cores} cores; {self.runtime}."


def machine() -> Machine:
    """Return this machine and the commit that is checked out; '+' marks uncommitted changes."""
    environment = describe(Deploy())
    return Machine(
        commit=_git("rev-parse", "--short", "HEAD") + ("+" if _git("status", "--porcelain", "-uno") else ""),
        date=datetime.now(UTC).date().isoformat(),
        processor=environment.processor,
        cores=environment.cores,
        runtime=environment.runtime,
    )


def keep(name: str, here: Machine, results: Sequence[dict[str, Any]], table: str) -> None:
    """Write NAME.json and NAME.md, in place of the last run's."""
    RESULTS.mkdir(exist_ok=True)
    document = {"machine": asdict(here), "results": list(results)}
    (RESULTS / f"{name}.json").write_text(json.dumps(document, indent=1) + "\n")
    (RESULTS / f"{name}.md").write_text(f"# {name}\n\n{table}\n")


def keep_plot(name: str, svg: str) -> None:
    """Write NAME.svg beside them."""
    (RESULTS / f"{name}.svg").write_text(svg)


def _git(*arguments: str) -> str:
    return subprocess.run(["git", *arguments], capture_output=True, text=True, check=True).stdout.strip()  # noqa: S607  # whichever git the developer has
