"""`survey`: tell what is in a set of images, without a network."""

from __future__ import annotations

import argparse
from pathlib import Path

from engine.commands.output import put
from engine.doctor.survey import survey


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("images", type=Path, help="folder, .zip, .npz or .npy")
    parser.add_argument("--seed", type=int, default=0)


def run(options: argparse.Namespace) -> int:
    put(survey(options.images, options.seed))
    return 0
