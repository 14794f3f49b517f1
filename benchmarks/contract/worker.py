"""`python -m benchmarks.contract.worker RECORDING`: a real worker whose engine is the stand-in."""

from __future__ import annotations

import sys
from pathlib import Path

from worker.__main__ import main
from worker.sandbox import Program

STAND_IN = Path(__file__).with_name("stand_in.py")

if __name__ == "__main__":
    recording = Path(sys.argv[1]).resolve()
    main(Program((sys.executable, "-I", str(STAND_IN), str(recording)), (STAND_IN, recording)))
