"""`compare`: time two networks in turn and say how far they agree."""

from __future__ import annotations

import argparse
from pathlib import Path

from engine.commands.output import put
from engine.commands.recipe_file import read_recipe
from engine.compare import compare


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model_a", type=Path)
    parser.add_argument("model_b", type=Path)
    parser.add_argument("--images", type=Path, required=True, help="folder, .zip, .npz or .npy")
    parser.add_argument("--recipe", type=Path, help="JSON file; its preprocess, deploy, seed and architecture are used")


def run(options: argparse.Namespace) -> int:
    recipe = read_recipe(options.recipe)
    put(
        compare(
            options.model_a,
            options.model_b,
            options.images,
            recipe.preprocess,
            recipe.deploy,
            seed=recipe.seed,
            architecture=recipe.architecture,
        )
    )
    return 0
