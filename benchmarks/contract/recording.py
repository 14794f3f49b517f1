"""What the engine says of one tiny network and its pictures, recorded once, so that a stand-in can say it again."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Final

from tests.end_to_end.samples import pictures, residual_network

RECIPE: Final = {"target": {"pareto": 2}, "deploy": {"batch": 8}, "budget_seconds": 10}
COMMANDS: Final = {
    "inspect": ["model.onnx"],
    "survey": ["pictures.zip"],
    "doctor": ["model.onnx", "pictures.zip"],
    "compress": ["model.onnx", "--calibration", "pictures.zip", "--recipe", "recipe.json", "--out", "out"],
}


def record(folder: Path) -> None:
    """Run every command of the engine that a worker runs, and keep what it printed as COMMAND.jsonl."""
    (folder / "model.onnx").write_bytes(residual_network())
    (folder / "pictures.zip").write_bytes(pictures())
    (folder / "recipe.json").write_text(json.dumps(RECIPE))
    for command, arguments in COMMANDS.items():
        line = [sys.executable, "-m", "engine", command, *arguments]
        said = subprocess.run(line, cwd=folder, check=True, stdout=subprocess.PIPE)
        (folder / f"{command}.jsonl").write_bytes(said.stdout)
