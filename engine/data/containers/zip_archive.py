"""A zip of pictures. Entries are read into memory under their own names and never unpacked to disk."""

from __future__ import annotations

import stat
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from engine.data.containers.pictures import FILE_BYTES_MAX, decode, labels_from_folders, pick_pictures
from engine.data.containers.source import Source
from engine.data.images import Pixels
from engine.errors import CalibrationUnreadable

ENTRIES_MAX = 250_000
RATIO_MAX = 200
RATIO_FREE_BYTES = 2**20  # a small flat picture may well shrink more; it cannot hurt
ARCHIVE_SUFFIXES = (".zip", ".tar", ".gz", ".tgz", ".bz2", ".xz", ".7z", ".rar", ".zst")
ENCRYPTED_FLAG = 0x1


@contextmanager
def open_zip(path: Path) -> Iterator[Source]:
    with open_archive(path) as archive:
        entries = [entry for entry in archive.infolist() if not entry.is_dir()]
        _refuse_nested_archives(entries)
        picked, notes = pick_pictures([entry.filename for entry in entries], path.name)
        pictures = [entries[index] for index in picked]
        names = tuple(entry.filename for entry in pictures)
        labels, class_names = labels_from_folders(names)

        def read(index: int) -> Pixels:
            return decode(_read_entry(archive, pictures[index]), names[index])

        yield Source(names, read, pictures=True, labels=labels, class_names=class_names, notes=notes)


@contextmanager
def open_archive(path: Path) -> Iterator[zipfile.ZipFile]:
    """Open a zip whose directory keeps the rules; npz files are zips too.

    Raises CalibrationUnreadable: too many entries, unpacked more than 200 times the packed size, a name that climbs out
    of its folder, two entries of one name, a link or device, a password, or not a zip at all.
    """
    try:
        archive = zipfile.ZipFile(path)
    except (zipfile.BadZipFile, ValueError, NotImplementedError, UnicodeDecodeError) as error:
        raise CalibrationUnreadable(
            f"'{path.name}' is not a complete zip: {error}. Send it again.", where=path.name
        ) from error
    with archive:
        _check_directory(archive.infolist(), path)
        yield archive


@contextmanager
def open_entry(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> Iterator[IO[bytes]]:
    """Open one entry for reading; the size that the directory declares is the most that is unpacked."""
    try:
        stream = archive.open(entry)
    except Exception as error:  # BadZipFile, NotImplementedError for odd compression, OSError for a lying offset
        raise _broken(entry, error) from error
    with stream:
        yield stream


def _broken(entry: zipfile.ZipInfo, error: Exception) -> CalibrationUnreadable:
    return CalibrationUnreadable(
        f"Entry '{entry.filename}' cannot be unpacked: {error}. Send the archive again.", where=entry.filename
    )


def _check_directory(entries: Sequence[zipfile.ZipInfo], path: Path) -> None:
    if len(entries) > ENTRIES_MAX:
        _refuse(f"'{path.name}' has {len(entries)} entries; at most {ENTRIES_MAX} are read.", path.name)
    if len({entry.filename for entry in entries}) < len(entries):
        _refuse(f"'{path.name}' has two entries of the same name.", path.name)
    unpacked_bytes = sum(entry.file_size for entry in entries)
    if unpacked_bytes > max(path.stat().st_size * RATIO_MAX, RATIO_FREE_BYTES):
        _refuse(f"'{path.name}' unpacks to {unpacked_bytes} bytes, over {RATIO_MAX} times its size.", path.name)
    for entry in entries:
        _check_entry(entry)


def _check_entry(entry: zipfile.ZipInfo) -> None:
    name = entry.filename
    file_type = stat.S_IFMT(entry.external_attr >> 16)
    if name.startswith("/") or ".." in name.split("/") or "\\" in name or ":" in name.partition("/")[0]:
        _refuse(f"Entry '{name}' points out of the archive.", name)
    if file_type not in (0, stat.S_IFREG, stat.S_IFDIR):
        _refuse(f"Entry '{name}' is a link or a device, not a file.", name)
    if entry.flag_bits & ENCRYPTED_FLAG:
        _refuse(f"Entry '{name}' is encrypted. Send the archive without a password.", name)
    if entry.file_size > max(entry.compress_size * RATIO_MAX, RATIO_FREE_BYTES):
        _refuse(f"Entry '{name}' unpacks to {entry.file_size} bytes, over {RATIO_MAX} times its packed size.", name)


def _refuse_nested_archives(entries: Sequence[zipfile.ZipInfo]) -> None:
    for entry in entries:
        if entry.filename.lower().endswith(ARCHIVE_SUFFIXES):
            _refuse(f"Entry '{entry.filename}' is an archive inside the archive. Unpack it first.", entry.filename)


def _refuse(message: str, where: str) -> None:
    raise CalibrationUnreadable(message, where=where)


def _read_entry(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> bytes:
    if entry.file_size > FILE_BYTES_MAX:
        _refuse(
            f"Picture '{entry.filename}' is {entry.file_size} bytes; at most {FILE_BYTES_MAX} are read.", entry.filename
        )
    with open_entry(archive, entry) as stream:
        try:
            return stream.read(entry.file_size)
        except Exception as error:  # zlib.error, lzma.LZMAError, BadZipFile, EOFError: whatever a broken entry raises
            raise _broken(entry, error) from error
