"""The one input that images are fed into, or the reason why a network has none. Never loads torch."""

from __future__ import annotations

from engine.errors import ModelError
from engine.graph.model import Model, TensorInfo


def require_image_input(model: Model) -> TensorInfo:
    """Return the network's only input. Raises ModelError unless it is exactly one, of float32."""
    found = ", ".join(f"'{info.name}' of {info.dtype}" for info in model.inputs) or "none"
    if len(model.inputs) != 1:
        raise ModelError(
            f"The network has {len(model.inputs)} inputs: {found}. Export it with one float32 image input."
        )
    (info,) = model.inputs
    if info.dtype != "float32":
        raise ModelError(f"The network's input is {found}. Export it with one float32 image input.", where=info.name)
    return info
