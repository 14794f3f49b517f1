"""Weights as torch.save writes them, .pth or .pt, read with `weights_only`: a pickle in which no code is ever run."""

from __future__ import annotations

import pickle
import re
import warnings
import zipfile
from pathlib import Path

import torch

from engine.errors import ModelUnreadable, ModelUnsafe
from engine.formats.archives import Archive
from engine.formats.networks.bare_weights import load_weights
from engine.graph.model import Model
from engine.recipe import Architecture

_GLOBAL = re.compile(r"GLOBAL ([\w.]+)")


def load(path: Path, architecture: Architecture | None = None) -> Model:
    """Read the weights and put them into the named network. Raises ModelUnreadable, ModelUnsafe or RecipeInvalid."""
    if zipfile.is_zipfile(path):
        with Archive(path) as archive:
            archive.require_stored()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about what takes long to check
            content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise _refused(path, error) from error
    except Exception as error:  # its reader is not made for damaged files
        raise ModelUnreadable(
            f"The file is no weights that torch can read: {str(error)[:300]}. Save it again.", where=path.name
        ) from error
    return load_weights(content, architecture)


def _refused(path: Path, error: pickle.UnpicklingError) -> ModelUnsafe:
    """Name the class that the file wanted to be made; a whole pickled network wants its own."""
    found = _GLOBAL.search(str(error))
    what = f"an object of {found[1]}" if found else "more than tensors"
    return ModelUnsafe(
        f"The file pickles {what}, and reading that would run code. "
        "Save the weights alone, torch.save(model.state_dict(), 'weights.pth'), and name the architecture in the "
        "recipe; or export the network with torch.onnx.export.",
        where=path.name,
    )
