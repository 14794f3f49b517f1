"""The worker without a broker: `python -m worker` polls the jobs table until SIGTERM or SIGINT."""

from __future__ import annotations

import signal
import threading

from core.db import upgrade
from core.settings import settings
from worker.sandbox import Program
from worker.shift import Shift


def main(engine: Program | None = None) -> None:
    """Work until a signal comes, then give back what runs. `engine` is our own, unless a test brings a smaller one."""
    upgrade(settings())
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda _number, _frame: ended.set())
    shift = Shift(engine)
    shift.start(settings())
    ended.wait()
    shift.stop()


if __name__ == "__main__":
    main()
