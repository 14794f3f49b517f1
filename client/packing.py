"""Makes one file of what lies in several: the same files give the same bytes, so that an upload can be recognised."""

from __future__ import annotations

import tempfile
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from client.errors import UsageError

IMAGE_SUFFIXES = frozenset({".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"})
ZIP_EPOCH = (1980, 1, 1, 0, 0, 0)


@contextmanager
def packed(path: Path) -> Iterator[Path]:
    """Yield the file itself, or a temporary zip of a folder; class sub-folders stay as they are."""
    if not path.is_dir():
        if not path.exists():
            raise UsageError("There is no such file or folder.", where=str(path))
        yield path
        return
    with tempfile.TemporaryDirectory(prefix="secateur-") as folder:
        # resolve() gives '.' and '..' the name that the user sees
        archive = Path(folder) / f"{path.resolve().name or 'images'}.zip"
        _write_zip(archive, {image.relative_to(path).as_posix(): image for image in _images_in(path)})
        yield archive


@contextmanager
def packed_model(path: Path) -> Iterator[Path]:
    """Yield the file itself, or a temporary zip of it and of the weights that PyTorch's exporter put beside it."""
    weights = path.with_name(f"{path.name}.data")
    if path.suffix.lower() != ".onnx" or not weights.is_file():
        yield path
        return
    with tempfile.TemporaryDirectory(prefix="secateur-") as folder:
        archive = Path(folder) / f"{path.stem}.zip"
        _write_zip(archive, {path.name: path, weights.name: weights})
        yield archive


def _images_in(folder: Path) -> list[Path]:
    """List the images below a folder; links are not followed and hidden files are not sent."""
    found = [
        path
        for path in folder.rglob("*")
        if path.suffix.lower() in IMAGE_SUFFIXES
        and path.is_file()
        and not path.is_symlink()
        and not any(part.startswith(".") for part in path.relative_to(folder).parts)
    ]
    if not found:
        raise UsageError(
            "The folder has no images.",
            where=str(folder),
            what_to_do=f"Images end in one of: {' '.join(sorted(IMAGE_SUFFIXES))}.",
        )
    return sorted(found, key=lambda path: path.relative_to(folder).as_posix())


def _write_zip(archive: Path, files: Mapping[str, Path]) -> None:
    """Store files under their names, with one fixed date; images and weights do not get smaller."""
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_STORED) as target:
        for name, file in files.items():
            entry = zipfile.ZipInfo(name, date_time=ZIP_EPOCH)
            entry.external_attr = 0o644 << 16
            entry.create_system = 3  # as on Unix, wherever this runs
            with file.open("rb") as source, target.open(entry, "w", force_zip64=True) as sink:
                while chunk := source.read(1024**2):
                    sink.write(chunk)
