"""The worker without a broker: `python -m worker` polls the jobs table until SIGTERM or SIGINT."""

from __future__ import annotations

import signal

from core.db import upgrade
from core.settings import settings
from worker.sandbox import Program
from worker.shift import Shift


def main(engine: Program | None = None) -> None:
    """Work until a signal comes, then drain. `engine` is our own, unless a test brings a smaller one."""
    upgrade(settings())
    shift = Shift(engine)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: shift.told_to_stop())
    shift.start(settings())
    shift.wait()
    shift.stop()


if __name__ == "__main__":
    main()
