"""The worker without a broker: `python -m worker` polls the jobs table until SIGTERM or SIGINT."""

from __future__ import annotations

import signal
import threading

from core.db import upgrade
from core.settings import settings
from worker.shift import Shift


def main() -> None:
    """Work until a signal comes, then give back what runs."""
    upgrade(settings())
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda _number, _frame: ended.set())
    shift = Shift()
    shift.start(settings())
    ended.wait()
    shift.stop()


if __name__ == "__main__":
    main()
