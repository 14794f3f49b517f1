"""The generators and the linter, each in an environment of its own below a cache folder; nothing of theirs is ours.

They are installed once, by pip and npm, and work without a network from then on.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Final

PYTHON_PACKAGE: Final = "openapi-python-client==0.29.1"
NODE_PACKAGES: Final = {
    "@redocly/cli": "2.77.0",
    "@types/node": "20.19.25",
    "openapi-fetch": "0.17.0",
    "openapi-typescript": "7.13.0",
    "typescript": "5.9.3",
}
QUIET: Final = {"REDOCLY_TELEMETRY": "off", "REDOCLY_SUPPRESS_UPDATE_NOTICE": "true", "NO_UPDATE_NOTIFIER": "1"}


def cache() -> Path:
    """Return the folder that outlives this run: below XDG_CACHE_HOME, or ~/.cache."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "secateur-clients"


def python_environment() -> Path:
    """Return a virtual environment with the generator for Python and what its clients need."""
    folder, mark = cache() / "python", cache() / "python" / PYTHON_PACKAGE
    if not mark.exists():
        subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
        pip = [str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*pip, PYTHON_PACKAGE], check=True)
        mark.touch()
    return folder


def node_modules() -> Path:
    """Return the folder `node_modules` with the generator for TypeScript, its compiler and the linter."""
    folder = cache() / "node"
    wanted = json.dumps({"private": True, "type": "module", "dependencies": NODE_PACKAGES}, indent=1)
    asked, mark = folder / "package.json", folder / "installed.json"
    if not mark.exists() or mark.read_text() != wanted:
        folder.mkdir(parents=True, exist_ok=True)
        asked.write_text(wanted)
        npm = ["npm", "install", "--no-audit", "--no-fund", "--ignore-scripts", "--loglevel", "error"]
        subprocess.run(npm, cwd=folder, check=True, stdout=subprocess.DEVNULL)
        mark.write_text(wanted)
    return folder / "node_modules"


def node_tool(name: str) -> str:
    """Return the command of a package of NODE_PACKAGES."""
    return str(node_modules() / ".bin" / name)
