"""onnxsim on one ONNX file: simplify, remove channels, remove attention heads. `... FILE [CHANNELS HEIGHT WIDTH]`"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import numpy as np
import onnx
import onnx_ir as ir
import onnxruntime
import onnxsim

from benchmarks.peers import SPARSITY, Answer, tell
from engine.graph.model import Model
from engine.measure.cost import cost


def main() -> None:
    path, sizes = Path(sys.argv[1]), [int(size) for size in sys.argv[2:]]
    before = onnx.load(path)
    started = time.process_time()
    simplified, _ = onnxsim.simplify(before)
    pruned = onnxsim.apply_structured_pruning_cpp(simplified, sparsity=SPARSITY)
    pruned = onnxsim.apply_attention_head_pruning_cpp(pruned, sparsity=SPARSITY)
    seconds = time.process_time() - started
    fault = _fault(pruned, sizes)
    share = 1 - _macs(pruned, sizes) / _macs(before, sizes) if fault is None else None
    tell(Answer(share, f"invalid: {fault}" if fault else "", round(seconds, 2)))


def _fault(proto: onnx.ModelProto, sizes: list[int]) -> str | None:
    """Say why ONNX Runtime does not run the file, None where it does."""
    try:
        session = onnxruntime.InferenceSession(proto.SerializeToString(), providers=["CPUExecutionProvider"])
        feed = {}
        for info in session.get_inputs():
            batch, *rest = info.shape
            feed[info.name] = np.zeros([batch if isinstance(batch, int) else 1, *(sizes or rest)], np.float32)
        session.run(None, feed)
    except Exception as error:  # the runtime's errors share no public base class
        return str(error).strip().splitlines()[0][:200]
    return None


def _macs(proto: onnx.ModelProto, sizes: list[int]) -> int:
    model = Model(ir.from_proto(proto))
    return cost(model, {info.name: sizes for info in model.inputs} if sizes else {}).macs


if __name__ == "__main__":
    main()
