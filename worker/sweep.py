"""What a worker process does now and then: show that it lives, sweep the database, clear the scratch folder."""

from __future__ import annotations

import math
import shutil
import socket
import time
from collections.abc import Sequence
from typing import Final

from sqlalchemy import ColumnElement, delete, select, update

from core.blobs import DELETED_AT_ONCE, delete_unused
from core.db import utc_now
from core.jobs import LEASED, TERMINAL
from core.processes import this_process
from core.queue import Bell
from core.sweep import Sweeper
from core.tables import Examination, Job, Worker
from worker.workplace import Workplace

FORGET_SECONDS: Final = 600


class Caretaker:
    def __init__(self, place: Workplace, bell: Bell, devices: Sequence[str]) -> None:
        self._place, self._devices = place, devices
        self._sweeper = Sweeper(place.database, bell, place.settings)
        self._forgot_at = -math.inf

    def enlist(self) -> None:
        """Write this process's row: by it, others on this machine know at once when the process is gone."""
        me = this_process()
        with self._place.database.transaction() as session:
            now = utc_now(session)
            session.add(
                Worker(
                    id=self._place.worker_id,
                    host=socket.gethostname(),
                    boot_id=me.boot_id,
                    pid=me.pid,
                    pid_started=me.started,
                    devices=list(self._devices),
                    sandbox=self._place.sandbox,
                    started_at=now,
                    seen_at=now,
                )
            )

    def leave(self) -> None:
        """Take the row away: an orderly end."""
        with self._place.database.transaction() as session:
            session.execute(delete(Worker).where(Worker.id == self._place.worker_id))

    def sweep(self) -> None:
        """Do every step once."""
        self._show_life()
        self._sweeper.sweep()
        self._clear_scratch()
        if time.monotonic() - self._forgot_at > FORGET_SECONDS:
            self._forgot_at = time.monotonic()
            self._sweeper.forget_the_old()
            if delete_unused(self._place.database, self._place.storage) >= DELETED_AT_ONCE:
                self._forgot_at = -math.inf  # the rest with the next sweep: receipts say by when bytes are gone

    def _show_life(self) -> None:
        me = self._place.worker_id
        with self._place.database.transaction() as session:
            held = select(Job.id).where(Job.state.in_(LEASED), Job.lease_owner == me)
            running = held.order_by(Job.id.desc()).limit(1).scalar_subquery()
            life = {"seen_at": utc_now(session), "job_id": running}
            if self._place.drain.is_begun:
                life["devices"] = []  # none is served any more: others are to know
            session.execute(update(Worker).where(Worker.id == me).values(life))

    def _clear_scratch(self) -> None:
        """Delete the folders of jobs and examinations that have ended, their checkpoints with them."""
        self._clear("job_*", Job, Job.state.not_in(TERMINAL))
        self._clear("exm_*", Examination, Examination.state == "running")

    def _clear(self, pattern: str, table: type[Job] | type[Examination], alive: ColumnElement[bool]) -> None:
        folders = {path.name: path for path in self._place.scratch.glob(pattern)}
        if not folders:
            return
        with self._place.database.transaction() as session:
            kept = set(session.scalars(select(table.id).where(table.id.in_(folders), alive)))
        for name in folders.keys() - kept:
            shutil.rmtree(folders[name], ignore_errors=True)
