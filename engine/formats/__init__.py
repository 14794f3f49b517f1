"""The file formats that go in, a drawer each with load(path, architecture), and the one that comes out.

The table holds names alone, so that reading ONNX loads no torch; the drawers of torch's own files do load it, and the
contract of imports in pyproject.toml cannot see that. A file is told by its contents.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from engine.errors import ModelUnreadable
from engine.formats import kinds, onnx
from engine.graph.model import Model
from engine.recipe import Architecture


@dataclass(frozen=True)
class Format:
    """One row: the drawer's module, loaded when a file of its kind comes; `recognises` looks at the contents."""

    module: str
    recognises: Callable[[kinds.Sample], bool]

    def load(self, path: Path, architecture: Architecture | None = None) -> Model:
        """Read a file of this format. Raises a ModelError, or RecipeInvalid where an architecture is lacking."""
        model: Model = importlib.import_module(self.module).load(path, architecture)
        return model


FORMATS = {
    "onnx_zip": Format("engine.formats.onnx_zip", kinds.is_onnx_zip),
    "exported_program": Format("engine.formats.exported_program", kinds.is_exported_program),
    "torch_state": Format("engine.formats.torch_state", kinds.is_torch_state),
    "safetensors": Format("engine.formats.safetensors", kinds.is_safetensors),
    "onnx": Format("engine.formats.onnx", kinds.is_onnx),
}
"""The first that recognises a file reads it; ONNX has no mark of its own and comes last."""


save = onnx.save


def load(path: Path, architecture: Architecture | None = None) -> Model:
    """Read an upload of any format into the one in-memory form.

    Raises a ModelError whose message says what was found and what to do, or RecipeInvalid about the architecture.
    """
    found = kinds.sample(path)
    for row in FORMATS.values():
        if row.recognises(found):
            return row.load(path, architecture)
    raise ModelUnreadable(f"The file is {kinds.what_else(found)}", where=path.name)
