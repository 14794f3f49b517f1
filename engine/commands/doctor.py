"""`doctor`: tell what is wrong with a set of images for a network, and what would mend it. Loads no torch for ONNX."""

from __future__ import annotations

import argparse
from pathlib import Path

from engine.commands.output import put
from engine.commands.recipe_file import read_recipe
from engine.doctor.diagnose import diagnose


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", type=Path)
    parser.add_argument("images", type=Path, help="folder, .zip, .npz or .npy")
    parser.add_argument("--recipe", type=Path, help="JSON file; its preprocess, seed and architecture are used")


def run(options: argparse.Namespace) -> int:
    put(diagnose(options.model, options.images, read_recipe(options.recipe)))
    return 0
