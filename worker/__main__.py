"""The worker without a broker: `python -m worker` polls the jobs table until SIGTERM or SIGINT."""

from __future__ import annotations

import signal
import threading
from types import FrameType

from core.db import upgrade
from core.settings import settings
from worker.sandbox import Program
from worker.shift import Shift


def main(engine: Program | None = None) -> None:
    """Work until a signal comes, then drain. `engine` is our own, unless a test brings a smaller one."""
    upgrade(settings())
    ended, shift = threading.Event(), Shift(engine)

    def told(_number: int, _frame: FrameType | None) -> None:
        shift.told_to_stop()
        ended.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, told)
    shift.start(settings())
    ended.wait()
    shift.stop()


if __name__ == "__main__":
    main()
