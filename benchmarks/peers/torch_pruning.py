"""Torch-Pruning on the module of a network, exported again, cut to a measured latency and distilled as ours are.

It reads no ONNX: a network's definition in `benchmarks.networks` is filled with its weights, or a family of the zoo is
built. Widths stay multiples of 16, in which runtimes with AVX-512 compute, or where these meet no ratio, of 8: the
package rounds down and leaves a layer whole of which nothing would stay, so that 16 may leave most layers as they are.
All layers lose the same part, and where that meets no ratio either, the least important channels of all layers go: on
a VGG of widths 32 to 96 the first step down from everywhere takes it from 1 to 0.53 of its time.
Fang et al., "DepGraph: Towards Any Structural Pruning", CVPR 2023. arXiv:2301.12900
"""

from __future__ import annotations

import copy
import functools
import tempfile
import warnings
from pathlib import Path

import torch
import torch_pruning
from torch import Tensor, nn

from benchmarks.networks import NETWORKS, load_network
from benchmarks.networks.export import OPSET, export
from benchmarks.peers.equal_latency import closest_of, parser, ready, teach_and_save, timer
from benchmarks.peers.torch_pruning_module import attention_heads, heads
from benchmarks.zoo.families import build, images
from engine.data.calibration import load_images
from engine.formats import load
from engine.graph.folds import fold
from engine.graph.merges import merge
from engine.graph.model import Model
from engine.graph.normalise import normalise
from engine.progress import Progress
from engine.recipe import Recipe
from engine.subject import prepare

WAYS = ((16, False), (8, False), (16, True), (8, True))
"""(what widths are multiples of, whether layers may lose other parts than their neighbours), the first that fits."""
IMPORTANCE = {
    "l1": {"p": 1, "group_reduction": "first", "normalizer": None},
    "group": {"p": 2, "group_reduction": "mean"},
}
"""L1 of the filters that write a channel, and the package's own norm over all weights of a group."""


def main() -> None:
    asks = parser("benchmarks.peers.torch_pruning", __doc__)
    asks.add_argument("--importance", choices=IMPORTANCE, default="l1")
    asks.add_argument("--family", help="of the zoo, in place of the model's own definition")
    options = asks.parse_args()
    if options.sparsity is not None:
        network, batch = build(options.family), images(options.family, 1)
        options.out.mkdir(parents=True, exist_ok=True)
        export_fixed(
            pruned(network, batch, options.sparsity, options.importance, WAYS[0][0]), batch, options.out / "model.onnx"
        )
        return
    recipe = Recipe.model_validate_json(options.recipe.read_text())
    asked, name = ready(recipe), options.model.stem
    if name not in NETWORKS:
        raise SystemExit(f"Torch-Pruning takes modules, and there is no definition of {name}.")
    upload = load(options.model)
    drawn = load_images(options.calibration, upload.inputs[0], recipe.preprocess, seed=recipe.seed)
    seen = torch.from_numpy(drawn.inputs)
    module = load_network(name, options.model.parent, seen)
    with tempfile.TemporaryDirectory() as folder:
        whole, cut = Path(folder) / "whole.onnx", Path(folder) / "cut.onnx"
        export(module, NETWORKS[name].side, whole)
        subject = prepare(whole, options.calibration, recipe, Progress())

        def without(multiple: int, globally: bool, part: float) -> Model:
            smaller = pruned(module, seen[:2], part, options.importance, multiple, globally=globally)
            export(smaller, NETWORKS[name].side, cut)
            return merge(fold(normalise(load(cut))))

        ways = [functools.partial(without, multiple, globally) for multiple, globally in WAYS]
        met = closest_of(asked, ways, timer(upload, subject))
    teach_and_save(subject, met, options.recovery_seconds, options.out)


def pruned(
    network: nn.Module, batch: Tensor, part: float, importance: str, multiple: int, *, globally: bool = False
) -> nn.Module:
    """Return a copy without this part (0 to 1) of every layer's channels, the classes kept; widths are multiples.

    `globally` takes the least important of that part of all channels, wherever they are.
    """
    smaller = copy.deepcopy(network).eval()
    for parameter in smaller.parameters():
        parameter.requires_grad_(True)  # the package follows the graph of gradients
    with torch.inference_mode():
        classes = int(smaller(batch).shape[1])
    pruner = torch_pruning.pruner.BasePruner(
        smaller,
        batch,
        importance=torch_pruning.importance.GroupMagnitudeImportance(**IMPORTANCE[importance]),
        pruning_ratio=part,
        global_pruning=globally,
        ignored_layers=heads(smaller, classes),
        num_heads=attention_heads(smaller),
        round_to=multiple,
    )
    pruner.step()
    return smaller


def export_fixed(network: nn.Module, batch: Tensor, path: Path) -> None:
    """Write the network for batches of this very size, as the zoo's exports are."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter speaks of its own internals
        torch.onnx.export(
            network.eval().requires_grad_(False),
            (batch,),
            path,
            opset_version=OPSET,
            input_names=["image"],
            output_names=["scores"],
            external_data=False,
            verbose=False,
        )


if __name__ == "__main__":
    main()
