"""A real worker process with the fake engine: `python -m worker`, settings from the environment."""

from __future__ import annotations

from tests.worker.conftest import fake_engine
from worker.__main__ import main

if __name__ == "__main__":
    main(fake_engine())
