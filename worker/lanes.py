"""The threads of a worker process: two have uploads examined, one for each slot runs jobs, one sweeps.

Each looks at the jobs table when it is woken and every few seconds: a bell only makes it look sooner.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import partial

import structlog
from sqlalchemy.exc import DBAPIError

from core.db import BoundQuery
from core.examinations import Kind
from core.queries import examination_waits_statement, queued_statement, submitted_statement
from worker.examine import examine_next
from worker.run_job import WorkerFault, run_next
from worker.slots import Slot
from worker.sweep import Caretaker
from worker.workplace import Workplace

log = structlog.get_logger()


class Lanes:
    """All that a worker process does, until it is drained."""

    def __init__(self, place: Workplace, slots: Sequence[Slot], caretaker: Caretaker) -> None:
        self._place, self._caretaker = place, caretaker
        self._wakes: list[threading.Event] = []
        self._quiet = threading.Event()
        self._threads = [
            self._thread("inspect", lambda: self._look_for_examinations("model") or self._look_for_submitted()),
            # Jobs may wait for a dataset, and none waits for a report.
            self._thread(
                "images", lambda: self._look_for_examinations("dataset") or self._look_for_examinations("report")
            ),
        ]
        self._threads += [self._thread(slot.lock_path.name, partial(self._look_for, slot)) for slot in slots]
        self._sweeping = threading.Thread(target=self._sweep, name="sweep", daemon=True)

    def start(self) -> None:
        """Enter this process into the list of workers, then begin to look for jobs."""
        self._caretaker.enlist()
        for thread in (*self._threads, self._sweeping):
            thread.start()

    def wake(self) -> None:
        """Let every lane look at the jobs table now."""
        for event in self._wakes:
            event.set()

    def drain(self) -> None:
        """Take no more jobs, give back those that outlast their grace, and wait until all is quiet.

        The sweeping goes on until then: a worker that still works has to be seen to live.
        """
        self._place.drain.begin()
        self.wake()
        for thread in self._threads:
            thread.join()
        self._quiet.set()
        self._sweeping.join()
        self._caretaker.leave()

    def _thread(self, name: str, look: Callable[[], bool]) -> threading.Thread:
        wake = threading.Event()
        self._wakes.append(wake)
        return threading.Thread(target=self._work, args=(look, wake), name=name, daemon=True)

    def _work(self, look: Callable[[], bool], wake: threading.Event) -> None:
        while not self._place.drain.is_begun:
            wake.clear()
            try:
                found = look()
            except DBAPIError as error:
                found = False
                log.warning("lane.database_away", reason=type(error).__name__)
            except WorkerFault as fault:
                found = False
                log.error("lane.rests", reason=str(fault))
                self._place.drain.wait(self._place.settings.lease_seconds / 4)  # no bell makes this shorter
            except Exception:
                found = False
                log.exception("lane.error")
            if not found:
                wake.wait(self._place.settings.poll_seconds * random.uniform(0.75, 1.25))

    def _look_for_examinations(self, kind: Kind) -> bool:
        waits = self._finds(examination_waits_statement(kind=kind, now=datetime.now(UTC)))
        return waits and examine_next(self._place, (kind,))

    def _look_for_submitted(self) -> bool:
        return self._finds(submitted_statement(now=datetime.now(UTC))) and run_next(self._place)

    def _look_for(self, slot: Slot) -> bool:
        if not self._finds(queued_statement(device=slot.device, now=datetime.now(UTC))):
            return False
        with slot.held() as held:
            return held and run_next(self._place, slot=slot)

    def _finds(self, statement: BoundQuery) -> bool:
        """Look without a lock, and roughly, by this machine's clock: idle workers ask often."""
        return bool(self._place.database.read_all(statement))

    def _sweep(self) -> None:
        pause_seconds = min(5.0, self._place.settings.lease_seconds / 6)
        while not self._quiet.is_set():
            # The drain's beginning is told at once: from then on nothing is served here.
            awaited = self._quiet if self._place.drain.is_begun else self._place.drain
            awaited.wait(pause_seconds * random.uniform(0.75, 1.25))
            if self._quiet.is_set():
                return
            try:
                self._caretaker.sweep()
            except DBAPIError as error:
                log.warning("sweep.database_away", reason=type(error).__name__)
            except Exception:
                log.exception("sweep.error")
