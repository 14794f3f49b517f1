"""What a training pass costs in the executor: forward and backward beside the same network as PyTorch's own modules.

Run: python -m benchmarks.executor [--device cuda] [--keep]. Each repeat runs every variant once, in random order; a
ratio is the median of the ratios within repeats, to the native variant with the lowest median: the executor's network
has its batch norm folded, so that the modules as they were written would be too easy to beat. One thread on a CPU is
timed by its own clock, which stands still while another program has the core.
"""

from __future__ import annotations

import argparse
import copy
import json
import random
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.fx.experimental.optimization import fuse
from torchvision import models

from benchmarks.record import Machine, keep, machine
from engine.execution.executor import Executor
from engine.formats.onnx import load
from engine.graph.model import Model
from engine.graph.normalise import normalise
from engine.measure.statistics import paired_ratio

MODELS: dict[str, Callable[[], nn.Module]] = {"resnet50": models.resnet50, "vit_b_16": models.vit_b_16}
BAR = 1.15
PARITY = 1e-4
SIDE = 224
SEED = 0

Forward = Callable[[], Tensor]


def main() -> None:
    options = _parser().parse_args()
    if options.device == "cpu":
        torch.set_num_threads(options.threads)
    here, results = machine(), []
    for name in options.models:
        results.append(_measure(name, options))
        print(json.dumps(results[-1]), flush=True)
    text = table(results, here)
    print(text)
    if options.keep:
        keep("executor" if options.device == "cpu" else f"executor-{options.device}", here, results, text)
    worst = max(result["variants"]["executor"]["ratio"] for result in results)
    print(json.dumps({"worst_ratio": worst, "bar": BAR, "device": options.device}))
    sys.exit(worst > BAR)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", nargs="+", choices=MODELS, default=list(MODELS))
    parser.add_argument("--batch", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--opset", type=int, default=18)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--compile", action="store_true", help="torch.compile both, too; the default on cuda")
    parser.add_argument("--keep", action="store_true", help="write benchmarks/results/executor.{json,md}")
    return parser


def _measure(name: str, options: argparse.Namespace) -> dict[str, Any]:
    torch.manual_seed(SEED)
    network = MODELS[name]().eval()
    if name.startswith("vit"):
        nn.init.normal_(network.heads.head.weight, std=0.02)  # type: ignore[union-attr, arg-type]  # starts at zero
    image = torch.randn(options.batch, 3, SIDE, SIDE, device=options.device)
    model = _export(network, options.opset)
    variants = _variants(network.to(options.device), model, image, options)
    _require_parity(variants)
    seconds = time_in_turn(variants, options.repeats, _clock(options))
    best = best_native(seconds)
    return {
        "model": name,
        "opset": model.opset,
        "batch": options.batch,
        "repeats": options.repeats,
        "threads": options.threads if options.device == "cpu" else None,
        "device": options.device if options.device == "cpu" else torch.cuda.get_device_name(),
        "best_native": best,
        "variants": {variant: figures(times, seconds[best]) for variant, times in seconds.items()},
    }


def _export(network: nn.Module, opset: int) -> Model:
    """Send the network the way a user would: exported, read back, normalised."""
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings(), redirect_stdout(None):
        warnings.simplefilter("ignore")
        path = Path(folder) / "network.onnx"
        example = torch.zeros(2, 3, SIDE, SIDE)
        dynamic = ({0: torch.export.Dim("batch")},)
        torch.onnx.export(network, (example,), path, opset_version=opset, dynamic_shapes=dynamic, external_data=False)
        return normalise(load(path))


def _variants(network: nn.Module, model: Model, image: Tensor, options: argparse.Namespace) -> dict[str, Forward]:
    last = image.contiguous(memory_format=torch.channels_last)
    found = {"native": _of_module(network, image), "executor": _of_executor(Executor(model, options.device), image)}
    if any(isinstance(module, nn.BatchNorm2d) for module in network.modules()):
        folded = fuse(copy.deepcopy(network)).requires_grad_(True)
        found["native, batch norm folded"] = _of_module(folded, image)
        lying = copy.deepcopy(folded).to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch's stub
        found["native, batch norm folded, channels last"] = _of_module(lying, last)
    other = "channels first" if options.device == "cpu" else "channels last"
    turned = Executor(model, options.device, channels_last=options.device != "cpu")
    found[f"executor, {other}"] = _of_executor(turned, image)
    if options.compile or options.device == "cuda":
        found["native, compiled"] = _of_module(torch.compile(network), image)
        found["executor, compiled"] = _of_executor(torch.compile(Executor(model, options.device)), image)
    return found


def _of_module(network: Callable[[Tensor], Tensor], image: Tensor) -> Forward:
    return lambda: network(image)


def _of_executor(network: Any, image: Tensor) -> Forward:
    model: Model = network.model
    given, taken = model.inputs[0].name, model.outputs[0].name
    return lambda: network({given: image})[taken]  # type: ignore[no-any-return]  # a module's call is untyped


def _require_parity(variants: dict[str, Forward]) -> None:
    """Stop where a variant is not the same network: its time would say nothing."""
    with torch.no_grad():
        wanted = variants["native"]()
        for variant, forward in variants.items():
            error = ((forward() - wanted).abs().max() / wanted.abs().max()).item()
            if error > PARITY:
                sys.exit(f"{variant} is {error:.1e} off the native network, more than {PARITY}.")


def _clock(options: argparse.Namespace) -> Callable[[], float]:
    if options.device == "cuda":
        return _after_the_gpu
    return time.thread_time if options.threads == 1 else time.perf_counter


def _after_the_gpu() -> float:
    torch.cuda.synchronize()
    return time.perf_counter()


def time_in_turn(variants: dict[str, Forward], repeats: int, clock: Callable[[], float]) -> dict[str, list[float]]:
    """Run forward and backward of each variant in turn; the first round warms up and is not counted."""
    order, chance = list(variants), random.Random(SEED)
    seconds: dict[str, list[float]] = {variant: [] for variant in variants}
    for round_number in range(repeats + 1):
        chance.shuffle(order)
        for variant in order:
            started = clock()
            variants[variant]().square().sum().backward()  # type: ignore[no-untyped-call]  # torch ships no types here
            if round_number:
                seconds[variant].append(clock() - started)
    return seconds


def best_native(seconds: Mapping[str, list[float]]) -> str:
    """Name the fastest of PyTorch's own forms; compiled ones run other code and are compared by their rows."""
    rivals = [variant for variant in seconds if variant.startswith("native") and "compiled" not in variant]
    return min(rivals, key=lambda variant: float(np.median(seconds[variant])))


def figures(times: list[float], native: list[float]) -> dict[str, float]:
    ratio = paired_ratio(np.array(times), np.array(native), seed=SEED)
    return {
        "seconds": round(float(np.median(times)), 4),
        "ratio": round(ratio.value, 3),
        "ratio_low": round(ratio.low, 3),
        "ratio_high": round(ratio.high, 3),
    }


def table(results: Sequence[dict[str, Any]], here: Machine) -> str:
    lines = ["| model | variant | seconds | ratio to the best native (95 %) |", "| --- | --- | --- | --- |"]
    for result in results:
        for variant, r in result["variants"].items():
            share = f"{r['ratio']:.3f} ({r['ratio_low']:.3f} to {r['ratio_high']:.3f})"
            lines.append(f"| {result['model']} | {variant} | {r['seconds']:.3f} | {share} |")
    return "\n".join([*lines, "", *_how(results), here.sentence()])


def _how(results: Sequence[dict[str, Any]]) -> list[str]:
    one = results[0]
    how = f"Forward and backward, batch {one['batch']}, {one['repeats']} repeats, {one['device']}"
    how += f", {one['threads']} thread(s)." if one["threads"] else "."
    best = "; ".join(f"{result['model']}: {result['best_native']}" for result in results)
    lines = [how, f"The best native, with the lowest median, is of {best}."]
    compiled = any("compiled" in variant for variant in one["variants"])
    unmeasured = ["a GPU"] * (one["device"] == "cpu") + ["torch.compile"] * (not compiled)
    return [*lines, *([f"Not measured: {', '.join(unmeasured)}."] if unmeasured else [])]


if __name__ == "__main__":
    main()
