"""What a worker process has in its hands: settings, database, storage, engine, and whether it is about to stop."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from core.db import Database, open_database
from core.ids import new_id
from core.settings import Settings
from core.storage import Storage, open_storage
from core.tracing.opening import NO_TRACING, Tracing, open_tracing
from worker.drain import Drain
from worker.sandbox import Program, Sandbox, choose_sandbox

HOUSE = Path(__file__).resolve().parent.parent


def engine_program() -> Program:
    """`python -m engine`, found beside this package and nowhere else (-P: not in the folder of the job)."""
    return Program((sys.executable, "-P", "-m", "engine"), (HOUSE / "engine",), {"PYTHONPATH": str(HOUSE)})


@dataclass(frozen=True)
class Workplace:
    settings: Settings
    database: Database
    storage: Storage
    sandbox: Sandbox
    engine: Program
    worker_id: str = field(default_factory=lambda: new_id("wrk"))
    drain: Drain = field(default_factory=Drain)
    tracing: Tracing = NO_TRACING

    @classmethod
    def open(cls, settings: Settings, engine: Program, drain: Drain | None = None) -> Self:
        """Open what the settings name; `drain` is the caller's where it may have begun already."""
        sandbox = choose_sandbox(settings.sandbox)
        tracing = open_tracing(settings, "worker")
        database, storage = open_database(settings), open_storage(settings)
        return cls(settings, database, storage, sandbox, engine, drain=drain or Drain(), tracing=tracing)

    @property
    def scratch(self) -> Path:
        """A folder for each job that is being worked on; within it one for each attempt, and the checkpoint of all."""
        return self.settings.data_dir.resolve() / "scratch"

    def close(self) -> None:
        self.database.close()
        self.tracing.close()
