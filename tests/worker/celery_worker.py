"""`celery -A tests.worker.celery_worker worker`: worker.main as it is, but with the fake engine."""

from __future__ import annotations

from tests.worker.conftest import fake_engine
from worker import main

main.shift.engine = fake_engine()
app = main.app
