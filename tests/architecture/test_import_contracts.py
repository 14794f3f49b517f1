"""Who may import whom: the contracts of pyproject.toml, and what really is loaded when a process starts."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
HEAVY = ("torch", "onnx", "onnx_ir", "onnxscript", "onnxruntime", "numpy", "scipy", "PIL")
SERVER = ("fastapi", "starlette", "pydantic", "sqlalchemy", "celery", "app", "worker", "sender", "core", "engine")

BLOCKING = """
import importlib, sys

class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in BLOCKED:
            raise ImportError(f"{name} must not be loaded here")

MODULE, *BLOCKED = sys.argv[1:]
sys.meta_path.insert(0, Blocker())
importlib.import_module(MODULE)
"""


def test_the_import_contracts_hold() -> None:
    done = subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--no-cache"],
        cwd=ROOT,
        check=False,
        capture_output=True,
        text=True,
    )

    assert done.returncode == 0, done.stdout[-3000:]


@pytest.mark.parametrize(
    ("module", "blocked"),
    [
        ("app.main", HEAVY),
        ("app.serve", HEAVY),
        ("worker.main", HEAVY),
        ("worker.__main__", HEAVY),
        ("sender.__main__", (*HEAVY, "fastapi", "starlette", "celery")),
        ("client", HEAVY + SERVER),
        ("client.cli", HEAVY + SERVER),
    ],
)
def test_a_long_lived_process_starts_where_the_engine_cannot_be_loaded(module: str, blocked: tuple[str, ...]) -> None:
    done = subprocess.run(
        [sys.executable, "-c", BLOCKING, module, *blocked], cwd=ROOT, check=False, capture_output=True, text=True
    )

    assert done.returncode == 0, done.stderr[-3000:]
