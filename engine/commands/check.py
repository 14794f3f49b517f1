"""`check`: our executor against ONNX Runtime on random inputs; exit 1 above a relative error of 1e-4."""

from __future__ import annotations

import argparse
from pathlib import Path

from engine.check import check
from engine.commands.output import put
from engine.commands.recipe_file import read_recipe

RELATIVE_ERROR_MAX = 1e-4


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", type=Path)
    parser.add_argument("--recipe", type=Path, help="JSON file; its architecture is used")
    parser.add_argument("--seed", type=int, default=0)


def run(options: argparse.Namespace) -> int:
    found = check(options.model, options.seed, read_recipe(options.recipe).architecture)
    put(found)
    return 0 if found.relative_error <= RELATIVE_ERROR_MAX else 1
