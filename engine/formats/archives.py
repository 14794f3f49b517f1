"""Zip archives out of uploads: read in memory, never unpacked to disk, and only what is plainly what it says."""

from __future__ import annotations

import io
import stat
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Self

from engine.errors import ModelUnreadable, ModelUnsafe

MOST_MEMBERS = 20_000
MOST_BYTES = (1 << 31) - 1
"""Of a file, of all members or of all weights together: protobuf, and so a network in ONNX, ends at 2 GiB."""

MOST_TABLE_BYTES = 4 << 20
"""Of the table of contents: some two hundred for each member, several times what a name takes."""

_METHODS = {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}
_ENCRYPTED = 0x1


@contextmanager
def opened(path: Path) -> Iterator[zipfile.ZipFile]:
    """Open a zip archive whose table of contents is of a sane length, and close it afterwards.

    Raises ModelUnsafe, or whatever zipfile raises at a damaged file.
    """
    with _Table(path) as file, zipfile.ZipFile(file) as archive:
        if len(archive.infolist()) > MOST_MEMBERS:
            raise ModelUnsafe(f"The archive has more than {MOST_MEMBERS} members. Upload the network alone.")
        file.is_table = False
        yield archive


class _Table(io.FileIO):
    """A file that hands out no longer table of contents; an entry of fifty bytes is ten times that in memory.

    The number of members that an archive announces proves nothing: zipfile makes as many as the table has.
    """

    is_table = True

    def read(self, size: int | None = -1, /) -> bytes:
        if self.is_table and size is not None and size > MOST_TABLE_BYTES:
            raise ModelUnsafe(
                f"The archive's table of contents has {size} bytes; at most {MOST_TABLE_BYTES} are read. "
                "Upload the network alone."
            )
        return super().read(size)


class Archive:
    """A zip archive that has passed every check that its table of contents allows; closed at the end of a `with`."""

    def __init__(self, path: Path) -> None:
        """Raises ModelUnreadable or ModelUnsafe."""
        with ExitStack() as until_checked:
            try:
                self._zip = until_checked.enter_context(opened(path))
            except (OSError, zipfile.BadZipFile, NotImplementedError, ValueError) as error:
                raise ModelUnreadable(f"The archive cannot be opened: {error}. Upload the whole file.") from error
            self._members = {info.filename: info for info in self._zip.infolist() if not info.is_dir()}
            self._check(path.stat().st_size)
            self._open = until_checked.pop_all()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        self._open.close()

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self._members)

    def size_bytes(self, name: str) -> int:
        return self._members[name].file_size

    def read(self, name: str) -> bytes:
        """Return a member's bytes, as many as the table of contents announced. Raises ModelUnreadable."""
        try:
            return self._zip.read(self._members[name])
        except (zipfile.BadZipFile, EOFError, zlib.error, OSError, ValueError, RuntimeError) as error:
            raise ModelUnreadable(
                f"'{name}' in the archive is damaged: {error}. Upload it again.", where=name
            ) from error

    def require_stored(self) -> None:
        """Refuse compression, which torch never uses: stored members cannot be larger than the file."""
        packed = next((name for name, info in self._members.items() if info.compress_type != zipfile.ZIP_STORED), None)
        if packed is not None:
            raise ModelUnsafe(
                f"'{packed}' is compressed; torch writes its archives uncompressed. Save it again with torch.",
                where=packed,
            )

    def _check(self, file_bytes: int) -> None:
        if len({info.filename for info in self._zip.infolist()}) < len(self._zip.infolist()):
            raise ModelUnsafe("The archive has two members of one name. Pack it again.")
        for name, info in self._members.items():
            _check_member(name, info)
        total = sum(info.file_size for info in self._members.values())
        packed = sum(info.compress_size for info in self._members.values())
        if total > MOST_BYTES:
            raise ModelUnsafe(f"The archive unpacks to {total} bytes; at most {MOST_BYTES} are taken.")
        if packed > file_bytes:
            raise ModelUnsafe(
                f"The archive's members have {packed} packed bytes and the file has {file_bytes}: they overlap. "
                "Pack it again."
            )


def _check_member(name: str, info: zipfile.ZipInfo) -> None:
    parts = name.replace("\\", "/").split("/")
    if name.startswith(("/", "\\")) or ".." in parts or ":" in name or "\0" in name:
        raise ModelUnsafe(f"The archive's member {name!r} points outside of it. Pack it again.", where=name)
    if stat.S_ISLNK(info.external_attr >> 16):
        raise ModelUnsafe(f"The archive's member '{name}' is a link. Pack the file itself.", where=name)
    if info.flag_bits & _ENCRYPTED:
        raise ModelUnreadable(f"'{name}' is encrypted. Pack it without a password.", where=name)
    if info.compress_type not in _METHODS:
        raise ModelUnreadable(f"'{name}' is packed in a way that is not read. Use plain zip.", where=name)
    if info.compress_type == zipfile.ZIP_STORED and info.file_size != info.compress_size:
        raise ModelUnreadable(f"'{name}' is damaged: its two sizes differ. Pack it again.", where=name)
