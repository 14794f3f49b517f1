"""A folder of pictures. Links are never followed."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from engine.data.containers.pictures import FILE_BYTES_MAX, decode, labels_from_folders, pick_pictures
from engine.data.containers.source import Source
from engine.data.images import Pixels
from engine.errors import CalibrationUnreadable


@contextmanager
def open_folder(path: Path) -> Iterator[Source]:
    files, links = _list_files(path)
    picked, notes = pick_pictures(files, path.name)
    names = tuple(files[index] for index in picked)
    labels, class_names = labels_from_folders(names)
    if links:
        notes = (*notes, f"ignored {links} symbolic links")

    def read(index: int) -> Pixels:
        return decode(_read_file(path / names[index], names[index]), names[index])

    yield Source(names, read, pictures=True, labels=labels, class_names=class_names, notes=notes)


def _list_files(root: Path) -> tuple[list[str], int]:
    """Return the regular files below `root` as sorted relative names, and how many links were passed over."""
    files, links = [], 0
    for folder, subfolders, names in os.walk(root, followlinks=False):
        for name in [*subfolders, *names]:
            file = Path(folder, name)
            if file.is_symlink():
                links += 1
            elif file.is_file():  # no pipe, no device
                files.append(file.relative_to(root).as_posix())
    return sorted(files), links


def _read_file(path: Path, name: str) -> bytes:
    size_bytes = path.stat().st_size
    if size_bytes > FILE_BYTES_MAX:
        raise CalibrationUnreadable(
            f"Picture '{name}' is {size_bytes} bytes; at most {FILE_BYTES_MAX} are read. Scale it down.", where=name
        )
    return path.read_bytes()
