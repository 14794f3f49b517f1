"""ONNX files in and out."""

from __future__ import annotations

from pathlib import Path

import onnx
import onnx_ir as ir

from engine.graph.model import Model


def load(path: Path) -> Model:
    """Read an ONNX file into memory, weights included."""
    return Model(ir.from_proto(onnx.load(path)))


def save(model: Model, path: Path) -> None:
    """Write one self-contained ONNX file."""
    path.write_bytes(model.to_bytes())
