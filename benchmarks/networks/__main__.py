"""Train the networks that nobody publishes and export them: `python -m benchmarks.networks --data DIR --out DIR`."""

from __future__ import annotations

import argparse
import json
import os
import time
from pathlib import Path

import torch

from benchmarks.networks import TRAINED, build
from benchmarks.networks.export import export
from benchmarks.networks.pictures import SIDE, read_pictures
from benchmarks.networks.train import accuracy, train

TEST_IMAGES = 2000


def main() -> None:
    options = _parser().parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    for name in options.networks:
        if not (options.out / f"{name}.onnx").exists():
            print(json.dumps(_make(name, options.data, options.out, options.seed)), flush=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder with cifar10-train.zip and cifar10-test.zip")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--networks", nargs="+", choices=TRAINED, default=list(TRAINED))
    parser.add_argument("--seed", type=int, default=0)
    return parser


def _make(name: str, data: Path, out: Path, seed: int) -> dict[str, object]:
    torch.set_num_threads(1)  # the same sums in the same order wherever it runs
    torch.manual_seed(seed)
    network = build(name)
    wall, cpu = time.monotonic(), time.process_time()
    train(network, read_pictures(data / "cifar10-train.zip"), TRAINED[name], seed)
    seconds = {"wall": round(time.monotonic() - wall), "cpu": round(time.process_time() - cpu)}
    unfinished = out / f"{name}.pth.{os.getpid()}"
    torch.save({key: value.contiguous() for key, value in network.state_dict().items()}, unfinished)
    unfinished.rename(out / f"{name}.pth")
    test = read_pictures(data / "cifar10-test.zip")
    top1 = accuracy(network, test, TEST_IMAGES)
    export(network, SIDE, out / f"{name}.onnx")
    return {"network": name, "seed": seed, "top1": top1, "test_images": TEST_IMAGES, "seconds": seconds}


if __name__ == "__main__":
    main()
