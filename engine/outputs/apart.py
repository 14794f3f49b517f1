"""A converter at work in a process of its own: where it, or the runtime on its file, crashes, nobody else does.

As a program, `python -m engine.outputs.apart FOLDER KIND`, what that process does: convert, and run the file once.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import onnx_ir as ir

from engine.data.images import ImageSet
from engine.errors import EngineError
from engine.graph.model import Model
from engine.measure.batches import outputs_in_batches
from engine.outputs import OUTPUTS, Kind
from engine.outputs.converted import Converted, NotConvertible
from engine.recipe import Deploy

COMMAND = (sys.executable, "-m", "engine.outputs.apart")
SECONDS_MAX = 600.0


def convert_apart(kind: Kind, source: Model, images: ImageSet, deploy: Deploy) -> Converted:
    """Return what the converter of this kind makes of a network. Raises NotConvertible with the reason if nothing."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "source.onnx").write_bytes(source.to_bytes())
        (folder / "deploy.json").write_text(deploy.model_dump_json())
        np.save(folder / "images.npy", images.inputs)
        ending = _run([*COMMAND, name, kind])
        answer = _answer(folder)
        if answer is None:
            raise NotConvertible(f"ONNX Runtime crashed on it: the process that converts ended with {ending}.")
        if "how" not in answer:
            raise NotConvertible(answer["reason"])
        return Converted(Model(ir.from_proto(ir.to_proto(ir.load(folder / "converted.onnx")))), answer["how"])


def _run(command: list[str]) -> str:
    """Let the process end, and say how it did."""
    ours = {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}  # whatever way this package was found
    try:
        ended = subprocess.run(
            command, env=os.environ | ours, stdout=subprocess.DEVNULL, timeout=SECONDS_MAX, check=False
        )
    except subprocess.TimeoutExpired:
        return f"the {SECONDS_MAX:g} s that it may take"
    return f"signal {-ended.returncode}" if ended.returncode < 0 else f"exit status {ended.returncode}"


def _answer(folder: Path) -> dict[str, Any] | None:
    path = folder / "answer.json"
    return json.loads(path.read_text()) if path.exists() else None


def reason_of(error: Exception) -> str:
    """Return a sentence on one line: our own errors are sentences already."""
    said = " ".join(str(error).split())[:500]
    if isinstance(error, EngineError | NotConvertible):
        return said
    return f"ONNX Runtime could not convert the network: {type(error).__name__}: {said}"


def main(folder: Path, kind: Kind) -> None:
    """Convert what lies in the folder, run it as it will be run, and leave file and answer there."""
    source, inputs = Model(ir.load(folder / "source.onnx")), np.load(folder / "images.npy")
    images = ImageSet(inputs, None, tuple(map(str, range(len(inputs)))))
    deploy = Deploy.model_validate_json((folder / "deploy.json").read_text())
    try:
        found = OUTPUTS[kind].convert(source, images, deploy)
        for _ in outputs_in_batches(found.model, images.take(np.arange(1)), deploy):
            pass
        (folder / "converted.onnx").write_bytes(found.model.to_bytes())
        answer = {"how": found.how}
    except Exception as error:  # whatever goes wrong is an answer
        answer = {"reason": reason_of(error)}
    (folder / "answer.json").write_text(json.dumps(answer))


if __name__ == "__main__":
    main(Path(sys.argv[1]), "fp16" if sys.argv[2] == "fp16" else "int8")
