"""Pictures, containers and inputs to try the image loaders on."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from engine.graph.model import TensorInfo

Encode = Callable[..., bytes]
WriteZip = Callable[[dict[str, bytes]], Path]
MakeInput = Callable[..., TensorInfo]


@pytest.fixture
def encode() -> Encode:
    """Encode random pixels of (height, width[, channels]) as a picture file, PNG unless told otherwise."""

    def encode(height: int = 8, width: int = 8, channels: int = 3, seed: int = 0, format: str = "PNG") -> bytes:
        shape = (height, width, channels) if channels > 1 else (height, width)
        pixels = np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)
        stream = io.BytesIO()
        Image.fromarray(pixels).save(stream, format)
        return stream.getvalue()

    return encode


@pytest.fixture
def write_zip(tmp_path: Path) -> WriteZip:
    def write(entries: dict[str, bytes]) -> Path:
        path = tmp_path / "images.zip"
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, content in entries.items():
                archive.writestr(name, content)
        return path

    return write


@pytest.fixture
def takes() -> MakeInput:
    """Describe a network's input without the batch; `takes(3, 8, 8)` takes eight by eight pixels in colour."""

    def describe(*shape: int | str) -> TensorInfo:
        return TensorInfo("image", "float32", ("batch", *shape))

    return describe
