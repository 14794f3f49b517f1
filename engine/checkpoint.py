"""What a job has done so far, on disk, so that a second attempt goes on where the first was killed."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

import torch

from engine.recipe import Recipe

State = dict[str, Any]


class Checkpoint:
    """A folder with one file a step, each replaced as a whole; without a folder nothing is kept and nothing found.

    Files of another model or recipe are not found: they bear another key.
    """

    def __init__(self, folder: Path | None, source: Path, recipe: Recipe) -> None:
        self._folder = folder
        self._key = hashlib.sha256(source.read_bytes() + recipe.model_dump_json().encode()).hexdigest()[:16]
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)

    def read_json(self, step: str) -> State | None:
        path = self._path(step, "json")
        return json.loads(path.read_text()) if path is not None and path.exists() else None

    def write_json(self, step: str, state: State) -> None:
        path = self._path(step, "json")
        if path is not None:
            part = path.with_suffix(".part")
            part.write_text(json.dumps(state))
            os.replace(part, path)

    def read_tensors(self, step: str) -> State | None:
        """Return what `write_tensors` kept: tensors and plain numbers only, so that reading runs no code."""
        path = self._path(step, "pt")
        return torch.load(path, weights_only=True) if path is not None and path.exists() else None

    def write_tensors(self, step: str, state: State) -> None:
        path = self._path(step, "pt")
        if path is not None:
            part = path.with_suffix(".part")
            torch.save(state, part)
            os.replace(part, path)

    def _path(self, step: str, suffix: str) -> Path | None:
        return None if self._folder is None else self._folder / f"{step}-{self._key}.{suffix}"
