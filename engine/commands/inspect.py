"""`inspect`: tell what can be done with a network, without running it and without torch."""

from __future__ import annotations

import argparse
from pathlib import Path

from engine.commands.output import put
from engine.inspect import inspect_model


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", type=Path)


def run(options: argparse.Namespace) -> int:
    put(inspect_model(options.model))
    return 0
