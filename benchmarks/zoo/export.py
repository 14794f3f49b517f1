"""Exports of the zoo's networks, kept in a cache: `python -m benchmarks.zoo.export FAMILY FOLDER OPSET...`."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path

import torch
import torchvision

from benchmarks.zoo.families import FAMILIES, build, images

LONGEST_SECONDS = 900


def default_cache() -> Path:
    """Return where exports are kept between runs, outside every checkout."""
    return Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "secateur-zoo"


def exported(name: str, opset: int, cache: Path) -> Path:
    """Return the file of one family at one opset, exported by a process of its own where it is not there yet."""
    folder = cache / f"torch-{torch.__version__}-torchvision-{torchvision.__version__}"
    path = file_of(name, opset, folder)
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, "-m", "benchmarks.zoo.export", name, str(folder), str(opset)]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=LONGEST_SECONDS)
        if done.returncode or not path.exists():
            raise RuntimeError(f"{name} was not exported at opset {opset}: {done.stderr.strip()[-500:]}")
    return path


def file_of(name: str, opset: int, folder: Path) -> Path:
    return folder / f"{FAMILIES[name].member}-{FAMILIES[name].pixels}-opset{opset}.onnx"


def export(name: str, folder: Path, opsets: Sequence[int]) -> None:
    """Trace the family's member once and write it at each opset; a file is there whole or not at all."""
    network = build(name)
    program = torch.export.export(network, (images(name, 1),))
    for opset in opsets:
        path = file_of(name, opset, folder)
        unfinished = path.with_suffix(f".{os.getpid()}")
        torch.onnx.export(
            program,
            (),
            unfinished,
            opset_version=opset,
            input_names=["image"],
            output_names=["scores"],
            external_data=False,
            verbose=False,
        )
        unfinished.rename(path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("family", choices=FAMILIES)
    parser.add_argument("folder", type=Path)
    parser.add_argument("opsets", type=int, nargs="+")
    options = parser.parse_args()
    warnings.simplefilter("ignore")  # the exporter speaks of its own internals
    export(options.family, options.folder, options.opsets)


if __name__ == "__main__":
    main()
