"""`python -m app`: the web process by itself, as `secateur-server` and the api image start it."""

from __future__ import annotations

import uvicorn

from app.main import create_app
from core.logging import configure_logging
from core.settings import settings


def main() -> None:
    """Serve until stopped; open streams get a few seconds to end."""
    chosen = settings()
    configure_logging(chosen)
    uvicorn.run(
        create_app(chosen),
        host=chosen.host,
        port=chosen.port,
        access_log=False,
        log_config=None,
        server_header=False,
        timeout_graceful_shutdown=5,
    )


if __name__ == "__main__":
    main()
