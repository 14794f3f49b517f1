"""`python -m benchmarks.clients.lint`: holds the OpenAPI document to redocly.yaml; ends with 0 when it keeps to it."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.clients.generators import QUIET, node_tool

RULES = Path(__file__).with_name("redocly.yaml")


def main() -> int:
    linter = node_tool("redocly")
    with tempfile.TemporaryDirectory() as folder:
        document = Path(folder, "openapi.json")
        with document.open("wb") as opened:
            subprocess.run([sys.executable, "-m", "app.describe"], stdout=opened, check=True)
        line = [linter, "lint", "--config", str(RULES), str(document)]
        return subprocess.run(line, env=os.environ | QUIET, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
