"""One run of a worker process, from its start to its drain, whoever started it."""

from __future__ import annotations

import time
from collections.abc import Collection
from contextlib import ExitStack
from typing import Final

import structlog

from core.logging import configure_logging
from core.metrics.admin import admin_port
from core.queue import DEVICES, open_bell
from core.settings import Settings
from worker.drain import Drain
from worker.lanes import Lanes
from worker.sandbox import Program
from worker.slots import find_slots
from worker.sweep import Caretaker
from worker.workplace import Workplace, engine_program

LOOK_SECONDS: Final = 0.1

log = structlog.get_logger()


class Shift:
    """Opens the workplace and its lanes, and closes them again."""

    def __init__(self, engine: Program | None = None) -> None:
        """`engine` is our own, unless a test brings a smaller one."""
        self.engine = engine or engine_program()
        self._drain = Drain()
        self._place: Workplace | None = None
        self._lanes: Lanes | None = None
        self._open = ExitStack()

    def start(self, settings: Settings, *, devices: Collection[str] = DEVICES) -> None:
        """Open what the settings name and begin to work on `devices`, as far as they are there."""
        configure_logging(settings)
        self._drain.grace_seconds = settings.worker_drain_seconds
        place = Workplace.open(settings, self.engine, self._drain)
        slots = [slot for slot in find_slots(settings) if slot.device in devices]
        found = sorted({slot.device for slot in slots})
        log.info("worker.starts", worker_id=place.worker_id, devices=found, sandbox=place.sandbox)
        self._open.enter_context(admin_port(settings))
        self._place, self._lanes = place, Lanes(place, slots, Caretaker(place, open_bell(settings), found))
        self._lanes.start()

    def wake(self) -> None:
        if self._lanes is not None:
            self._lanes.wake()

    def told_to_stop(self) -> None:
        """Take no more jobs; told again, give back at once those that run. A signal's handler may call it."""
        if self._drain.is_begun:
            self._drain.hurry()
        else:
            self._drain.begin()

    def wait(self) -> None:
        """Sleep until told to stop; looking again and again, for a signal's handler must find no lock that is held."""
        while not self._drain.is_begun:
            time.sleep(LOOK_SECONDS)

    def stop(self) -> None:
        """Wait until the lanes are quiet: what runs has its grace."""
        if self._place is not None and self._lanes is not None:
            self._lanes.drain()
            self._open.close()
            self._place.close()
