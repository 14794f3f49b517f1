"""The worker as Celery starts it: `celery -A worker.main worker -Q cpu,gpu`. Without a broker: `python -m worker`.

Celery brings the bells; the work is done by the same lanes as without it, which start before the broker is there and go
on when it is away. The queues that are consumed say which devices are served.
"""

from __future__ import annotations

import signal
from typing import Any

from celery.apps.worker import Worker as CeleryWorker
from celery.signals import celeryd_after_setup, worker_shutdown, worker_shutting_down

from core.queue import celery_app
from core.settings import settings
from worker.shift import Shift
from worker.tasks import answer_the_bell

shift = Shift()
app = celery_app(settings())
answer_the_bell(app, shift.wake)


def _start(instance: CeleryWorker, **_signal: Any) -> None:
    shift.start(settings(), devices=set(instance.app.amqp.queues.consume_from))


def _stop_soon(**_signal: Any) -> None:
    """Begin the drain. From here on signals come to us: Celery's own second one would end it before the lanes do."""
    shift.told_to_stop()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: shift.told_to_stop())


def _stop(**_signal: Any) -> None:
    shift.stop()


celeryd_after_setup.connect(_start, weak=False)
worker_shutting_down.connect(_stop_soon, weak=False)
worker_shutdown.connect(_stop, weak=False)
