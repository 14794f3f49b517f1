"""onnxsim's structured pruning with its repair, cut to a measured latency and then distilled as ours are: a program.

Filters go by their L2 norm, which is the package's default; its repair refits fully connected layers by ridge
regression. It is given the plain form of the network, so that names stay and features can be compared.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx
import onnx_ir as ir
import onnxsim
from numpy.typing import NDArray

from benchmarks.peers.equal_latency import closest, parser, ready, teach_and_save, timer
from engine.formats import load, save
from engine.graph.model import Model
from engine.progress import Progress
from engine.recipe import Recipe
from engine.subject import Subject, prepare

REPAIR_BATCH = 32

Batches = Sequence[dict[str, NDArray[np.float32]]]


def main() -> None:
    options = parser("benchmarks.peers.onnxsim_pruning", __doc__).parse_args()
    if options.sparsity is not None:
        simplified, _ = onnxsim.simplify(onnx.load(options.model))
        fewer_heads = onnxsim.apply_attention_head_pruning_cpp(simplified, sparsity=options.sparsity)
        options.out.mkdir(parents=True, exist_ok=True)
        save(pruned(fewer_heads, options.sparsity), options.out / "model.onnx")
        return
    recipe = Recipe.model_validate_json(options.recipe.read_text())
    asked = ready(recipe)
    subject = prepare(options.model, options.calibration, recipe, Progress())
    whole = onnx.load_model_from_string(subject.model.to_bytes())
    part, ratio, cut = closest(asked, lambda part: pruned(whole, part), timer(load(options.model), subject))
    met = part, ratio, repaired(whole, cut, batches(subject))
    teach_and_save(subject, met, options.recovery_seconds, options.out)


def pruned(whole: onnx.ModelProto, part: float) -> Model:
    """Return the network without this part (0 to 1) of the channels that the package can remove."""
    return Model(ir.from_proto(onnxsim.apply_structured_pruning_cpp(whole, sparsity=part)))


def repaired(whole: onnx.ModelProto, cut: Model, images: Batches) -> Model:
    """Return the cut network after the package's own repair on these images."""
    proto = onnx.load_model_from_string(cut.to_bytes())
    return Model(ir.from_proto(onnxsim.apply_pruning_finetune(whole, proto, calibration_data=images)))


def batches(subject: Subject) -> list[dict[str, NDArray[np.float32]]]:
    """Return the images of repair as the package wants them."""
    images, name = subject.split.repair.inputs, subject.model.inputs[0].name
    return [{name: images[start : start + REPAIR_BATCH]} for start in range(0, len(images), REPAIR_BATCH)]


if __name__ == "__main__":
    main()
