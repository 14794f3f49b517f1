"""What finished cases came to, one JSON line each, so that a run that was stopped goes on: by the engine's own tree."""

from __future__ import annotations

import hashlib
import json
import subprocess
from argparse import ArgumentParser, ArgumentTypeError
from collections.abc import Collection, Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any, ClassVar, Protocol

Row = dict[str, Any]

ALIKE = ("model", "kind", "images", "cores")
"""What cases that take about as long have in common."""


class Case(Protocol):
    """A frozen dataclass whose fields are plain: all that tells one case from another."""

    __dataclass_fields__: ClassVar[dict[str, Any]]


class Memory:
    """The rows of a file. A row belongs to a case, to the engine that ran it and to the network that was cut.

    Uncommitted code of the engine leaves no row behind, and finds none.
    """

    def __init__(self, file: Path, engine: str, alike: tuple[str, ...] = ALIKE) -> None:
        self._file, self.engine, self._alike = file, engine, alike
        lines = file.read_text().splitlines() if file.exists() else []
        self.rows: list[Row] = [json.loads(line) for line in lines]

    def find(self, case: Case, network: str) -> Row | None:
        """Return what is remembered of a case on the network with this digest, None where that is nothing."""
        wanted = asdict(case) | {"engine": self.engine, "network": network}
        found = (row for row in self.rows if all(row.get(key) == value for key, value in wanted.items()))
        return None if self.engine.endswith("+") else next(found, None)

    def of_networks(self, networks: Collection[str]) -> list[Row]:
        """Return all that this engine came to on the networks with these digests, one row a case, its last.

        Raises SystemExit where that is nothing: tables of it would take the place of the last run's.
        """
        found = {_case(row): row for row in self.rows if row["engine"] == self.engine and row["network"] in networks}
        if not found:
            raise SystemExit(f"'{self._file}' holds nothing of engine {self.engine} on these networks: see --rows.")
        return list(found.values())

    def keep(self, case: Case, network: str, result: Row) -> Row:
        """Remember what a case came to; return it with all that it belongs to."""
        row = asdict(case) | {"engine": self.engine, "network": network} | result
        if not self.engine.endswith("+"):
            self._file.parent.mkdir(parents=True, exist_ok=True)
            with self._file.open("a") as lines:
                lines.write(json.dumps(row) + "\n")
        self.rows.append(row)
        return row

    def seconds(self, case: Case) -> float | None:
        """Return how long such a case took, on average over whatever is remembered of its like."""
        took = [row["case_seconds"] for row in self.rows if all(row[key] == getattr(case, key) for key in self._alike)]
        return sum(took) / len(took) if took else None


def engine_tree(commit: str | None = None) -> str:
    """Return the digest of a commit's engine; of none, of the one that is checked out: '+' marks changes to it."""
    changes = _git("status", "--porcelain", "--", "engine") if commit is None else ""
    return _git("rev-parse", "--short=12", f"{commit or 'HEAD'}:engine") + ("+" if changes else "")


def values_of(rows: Iterable[Row], name: str) -> str:
    """Return all numbers that rows have for this, ascending, as a text: under which conditions they are."""
    return ", ".join(f"{value:g}" for value in sorted({row[name] for row in rows if name in row}))


def add_of(parser: ArgumentParser) -> None:
    """Let the command line ask for tables of an earlier engine."""
    what = "run nothing: tables of all remembered of its engine, whatever else is asked for, on this machine"
    parser.add_argument("--of", metavar="COMMIT", type=a_commit, help=what)


def a_commit(name: str) -> str:
    """Return what a commit is called whatever is committed later, for `HEAD~2` is another one tomorrow.

    A type of the command line's: raises ArgumentTypeError.
    """
    try:
        return _git("rev-parse", "--short", "--verify", "--quiet", f"{name}^{{commit}}")
    except subprocess.CalledProcessError as error:
        raise ArgumentTypeError(f"'{name}' is no commit of this checkout. `git log --oneline` lists them.") from error


def _case(row: Row) -> tuple[Any, ...]:
    """Return what tells a row's case from others, whichever part of the machine it had; only some have a `what`."""
    names = ("model", "kind", "what", "images", "latency_ratio", "seed", "batch", "threads")
    return tuple(row.get(name) for name in names)


def digest(network: Path) -> str:
    """Return what tells one network's file from another."""
    return hashlib.sha256(network.read_bytes()).hexdigest()[:12]


def _git(*arguments: str) -> str:
    return subprocess.run(["git", *arguments], capture_output=True, text=True, check=True).stdout.strip()  # noqa: S607  # whichever git the developer has
