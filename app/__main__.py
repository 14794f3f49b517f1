"""`python -m app`: the web process by itself, as `secateur-server` and the api image start it."""

from __future__ import annotations

import argparse
import socket

import uvicorn

from app.drain import LAST_ANSWERS_SECONDS
from app.main import create_app
from app.server import DrainingServer
from core.logging import configure_logging
from core.settings import settings


def main() -> None:
    """Serve until stopped, on the address in the settings or on a socket that the starter holds."""
    parser = argparse.ArgumentParser("python -m app", description="Serve the API until stopped.")
    parser.add_argument("--listen-descriptor", type=int, help="number of a listening socket that was handed down")
    descriptor: int | None = parser.parse_args().listen_descriptor
    chosen = settings()
    configure_logging(chosen)
    app = create_app(chosen)
    config = uvicorn.Config(
        app,
        host=chosen.host,
        port=chosen.port,
        access_log=False,
        log_config=None,
        server_header=False,
        timeout_graceful_shutdown=LAST_ANSWERS_SECONDS,
    )
    sockets = None if descriptor is None else [socket.socket(fileno=descriptor)]
    DrainingServer(config, app.state.services).run(sockets)


if __name__ == "__main__":
    main()
