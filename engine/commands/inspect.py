"""`inspect`: tell what can be done with a network, without running it; torch is loaded for its own files alone."""

from __future__ import annotations

import argparse
from pathlib import Path

from engine.commands.output import put
from engine.commands.recipe_file import read_recipe
from engine.inspect import inspect_model


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", type=Path)
    parser.add_argument("--architecture", type=Path, help="JSON file of a recipe whose architecture alone is used")
    parser.add_argument("--recipe", type=Path, help="JSON file; what would stop this job is an error then")


def run(options: argparse.Namespace) -> int:
    recipe = None if options.recipe is None else read_recipe(options.recipe)
    put(inspect_model(options.model, recipe, read_recipe(options.architecture).architecture))
    return 0
