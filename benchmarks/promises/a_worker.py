"""A real worker process whose engine is the stand-in; settings from the environment."""

from __future__ import annotations

import sys
from pathlib import Path

from worker.__main__ import main
from worker.sandbox import Program

STANDIN = Path(__file__).with_name("standin.py")

if __name__ == "__main__":
    main(Program((sys.executable, "-I", str(STANDIN)), (STANDIN,)))
