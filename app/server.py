"""uvicorn's server, which drains when it is told to stop, and whose orderly end is the exit status 0."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Generator
from contextlib import contextmanager
from typing import Final

import uvicorn

from app.services import Services

SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)


class DrainingServer(uvicorn.Server):
    """Told to stop, it is unready at once and answers for a while; then it closes. Told again, it ends at once."""

    def __init__(self, config: uvicorn.Config, services: Services) -> None:
        super().__init__(config)
        self._services = services

    @contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """Take signals from the event loop; uvicorn would raise them again at its end, as if it had been killed."""
        loop = asyncio.get_running_loop()
        for number in SIGNALS:
            loop.add_signal_handler(number, self._begin)
        yield

    def _begin(self) -> None:
        loop = asyncio.get_running_loop()
        for number in SIGNALS:
            loop.remove_signal_handler(number)
            signal.signal(number, signal.SIG_DFL)  # nothing that was acknowledged is lost by a sudden end
        self._services.drain.is_begun = True
        loop.call_later(self._services.settings.web_drain_seconds, self._close)

    def _close(self) -> None:
        self._services.end_what_lasts()
        self.should_exit = True
