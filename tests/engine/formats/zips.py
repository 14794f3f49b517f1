"""Zip archives for the tests of the formats, made from a dictionary and read into one."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from pathlib import Path


def rezipped(path: Path, members: Mapping[str, bytes], compression: int = zipfile.ZIP_STORED) -> Path:
    """Write an archive of these members and return its path."""
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def members_of(path: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}
