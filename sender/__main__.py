"""`python -m sender`: deliver webhooks until SIGTERM or SIGINT. Any number may run; the tables must be there."""

from __future__ import annotations

import asyncio
import signal

import structlog

from core.db import open_database
from core.keys import load_pepper
from core.logging import configure_logging
from core.metrics.admin import admin_port
from core.settings import Settings, settings
from core.tracing.opening import open_tracing
from sender.sending import Sender


def main() -> None:
    """Deliver until a signal comes, then end what is under way; at the second signal, give it back."""
    chosen = settings()
    configure_logging(chosen)
    asyncio.run(_send(chosen))


async def _send(chosen: Settings) -> None:
    stop, hurry = asyncio.Event(), asyncio.Event()

    def told() -> None:
        (hurry if stop.is_set() else stop).set()

    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, told)
    database, tracing = open_database(chosen), open_tracing(chosen, "sender")
    try:
        structlog.get_logger("sender").info("sender.starts")
        with admin_port(chosen):
            await Sender(database, chosen, load_pepper(chosen), tracing=tracing).run(stop, hurry)
    finally:
        await database.aclose()
        tracing.close()


if __name__ == "__main__":
    main()
