"""The house is as drawn: no file outside its rooms, a subject in the first line of every module."""

from __future__ import annotations

import ast
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ROOMS = {
    "app",
    "worker",
    "sender",
    "engine",
    "core",
    "client",
    "migrations",
    "tests",
    "benchmarks",
    "examples",
    "deploy",
    "docs",
    ".ci",
}
AT_THE_DOOR = {
    ".dockerignore",
    ".editorconfig",
    ".gitignore",
    ".pre-commit-config.yaml",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "Dockerfile",
    "LICENSE",
    "Makefile",
    "README.md",
    "alembic.ini",
    "docker-compose.yml",
    "pyproject.toml",
    "requirements.lock",
}
BAGS = {"utils", "util", "helpers", "helper", "common", "misc", "manager", "managers"}


@pytest.fixture(scope="module")
def files() -> list[Path]:
    """Every file of the house: tracked, or new and not ignored."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    )
    return [Path(name) for name in listed.stdout.split("\0") if name and (ROOT / name).exists()]


def test_no_file_stands_outside_the_rooms(files: list[Path]) -> None:
    outside = [str(file) for file in files if file.parts[0] not in ROOMS and str(file) not in AT_THE_DOOR]

    assert outside == []


def test_every_module_tells_its_subject(files: list[Path]) -> None:
    modules = [file for file in files if file.suffix == ".py"]
    silent = [str(file) for file in modules if not ast.get_docstring(ast.parse((ROOT / file).read_text()))]

    assert modules
    assert silent == []


def test_no_file_is_a_bag(files: list[Path]) -> None:
    assert [str(file) for file in files if BAGS & set(file.with_suffix("").parts)] == []


def test_no_model_or_image_is_committed(files: list[Path]) -> None:
    data = {".onnx", ".pt", ".pth", ".pt2", ".safetensors", ".npz", ".npy", ".zip", ".jpg", ".jpeg"}

    assert [str(file) for file in files if file.suffix in data] == []
