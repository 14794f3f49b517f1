"""What a job has done so far, on disk, so that a second attempt goes on where the first was killed."""

from __future__ import annotations

import copy
import hashlib
import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch

State = dict[str, Any]


class Checkpoint:
    """A folder with one file a step, each replaced as a whole; without a folder nothing is kept and nothing found.

    `about` is all that the work follows from: model, recipe, images. Files about anything else are not found.
    """

    def __init__(self, folder: Path | None, about: Iterable[bytes]) -> None:
        self._folder, self._key, self._prefix = folder, "", ""
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)
            digest = hashlib.sha256()
            for part in about:
                digest.update(hashlib.sha256(part).digest())
            self._key = digest.hexdigest()[:16]

    def of(self, part: str) -> Checkpoint:
        """Return the place of one part of the job in the same folder; its steps never meet those of another part."""
        room = copy.copy(self)
        room._prefix = f"{self._prefix}{part}-"
        return room

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
        """Return what `write_tensors` kept, on the CPU: tensors and plain numbers, so that reading runs no code."""
        path = self._path(step, "pt")
        if path is None or not path.exists():
            return None
        state: State = torch.load(path, weights_only=True, map_location="cpu")
        return state

    def write_tensors(self, step: str, state: State) -> None:
        path = self._path(step, "pt")
        if path is not None:
            part = path.with_suffix(".part")
            torch.save(state, part)
            os.replace(part, path)

    def read_bytes(self, step: str) -> bytes | None:
        path = self._path(step, "bin")
        return path.read_bytes() if path is not None and path.exists() else None

    def write_bytes(self, step: str, content: bytes) -> None:
        path = self._path(step, "bin")
        if path is not None:
            part = path.with_suffix(".part")
            part.write_bytes(content)
            os.replace(part, path)

    def forget_tensors(self, step: str) -> None:
        """Make room: what was kept of a step that is done is as large as the network several times over."""
        path = self._path(step, "pt")
        if path is not None:
            path.unlink(missing_ok=True)

    def _path(self, step: str, suffix: str) -> Path | None:
        return None if self._folder is None else self._folder / f"{self._prefix}{step}-{self._key}.{suffix}"
