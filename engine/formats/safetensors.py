"""Weights as safetensors: a header of JSON and plain numbers. Which network they belong to is the recipe's to say."""

from __future__ import annotations

from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file

from engine.errors import ModelUnreadable
from engine.formats.networks.bare_weights import load_weights
from engine.graph.model import Model
from engine.recipe import Architecture


def load(path: Path, architecture: Architecture | None = None) -> Model:
    """Read the weights and put them into the named network. Raises ModelUnreadable, ModelUnsafe or RecipeInvalid."""
    try:
        state = load_file(path)
    except (SafetensorError, OSError, KeyError, ValueError, RuntimeError) as error:
        raise ModelUnreadable(
            f"The safetensors file is damaged: {str(error)[:300]}. Save it again.", where=path.name
        ) from error
    return load_weights(state, architecture)
