"""Arrays of images in numpy's .npy and .npz: headers are checked before anything is allocated, pickles never read."""

from __future__ import annotations

import math
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from engine.data.containers.source import Source
from engine.data.containers.zip_archive import open_archive, open_entry
from engine.data.images import Labels
from engine.errors import CalibrationUnreadable, CalibrationWrongType

COUNT_MAX = 1_000_000
IMAGE_BYTES_MAX = 256 * 2**20
IMAGES_KEYS = ("images", "x")
LABELS_KEYS = ("labels", "y")


@dataclass(frozen=True)
class Header:
    """Where an array's numbers lie: `offset` bytes into its file."""

    name: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    fortran_order: bool
    offset: int


@contextmanager
def open_npy(path: Path) -> Iterator[Source]:
    with path.open("rb") as stream:
        header = _read_header(stream, path.name, path.stat().st_size)
        _check_images(header)
        yield _source(stream, header, None, ())


@contextmanager
def open_npz(path: Path) -> Iterator[Source]:
    """Open the arrays `images` (or `x`) and, if there, `labels` (or `y`); or the only array there is."""
    with open_archive(path) as archive:
        members = {entry.filename.removesuffix(".npy"): entry for entry in archive.infolist()}
        images_key, labels_key = _pick_keys(list(members), path.name)
        labels = None if labels_key is None else _read_labels(archive, members[labels_key])
        ignored = sorted(set(members) - {images_key, labels_key})
        with open_entry(archive, members[images_key]) as stream:
            header = _read_header(stream, images_key, members[images_key].file_size)
            _check_images(header)
            if labels is not None and len(labels) != header.shape[0]:
                raise CalibrationUnreadable(
                    f"'{path.name}' has {header.shape[0]} images and {len(labels)} labels. Give one label an image.",
                    where=labels_key,
                )
            yield _source(stream, header, labels, (f"ignored arrays: {', '.join(ignored[:5])}",) if ignored else ())


def _pick_keys(keys: list[str], container: str) -> tuple[str, str | None]:
    labels_key = next((key for key in LABELS_KEYS if key in keys), None)
    images_key = next((key for key in IMAGES_KEYS if key in keys), keys[0] if len(keys) == 1 else None)
    if images_key is None:
        raise CalibrationUnreadable(
            f"'{container}' has the arrays {', '.join(sorted(keys)[:10]) or 'none'}; none is called "
            f"{' or '.join(IMAGES_KEYS)}. Save it as numpy.savez(path, images=…, labels=…).",
            where=container,
        )
    return images_key, labels_key


def _read_header(stream: IO[bytes], name: str, file_bytes: int) -> Header:
    """Read and check a .npy header; raises CalibrationUnreadable when it promises more or less than the file holds."""
    try:
        version = np.lib.format.read_magic(stream)
        readers = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
        shape, fortran_order, dtype = readers[version](stream)
    except Exception as error:  # a hostile header can end in any parser's error
        raise CalibrationUnreadable(f"Array '{name}' has no readable .npy header: {error}.", where=name) from error
    header = Header(name, shape, dtype, fortran_order, stream.tell())
    _check_header(header, file_bytes)
    return header


def _check_header(header: Header, file_bytes: int) -> None:
    name, dtype = header.name, header.dtype
    if dtype.hasobject or dtype.names is not None or dtype.kind not in "uif":
        raise CalibrationUnreadable(
            f"Array '{name}' holds {dtype}; only plain numbers are read, never pickled objects. Save uint8 or float32.",
            where=name,
        )
    promised_bytes = math.prod(header.shape) * dtype.itemsize
    if min(header.shape, default=0) < 0 or promised_bytes != file_bytes - header.offset:
        raise CalibrationUnreadable(
            f"Array '{name}' promises shape {header.shape} of {dtype}, {promised_bytes} bytes; "
            f"the file holds {file_bytes - header.offset}. Save it again.",
            where=name,
        )


def _check_images(header: Header) -> None:
    name, shape, dtype = header.name, header.shape, header.dtype
    if dtype != np.uint8 and dtype.kind != "f":
        raise CalibrationWrongType(
            f"Array '{name}' holds {dtype}. Save pixels as uint8, or ready inputs as float32.", where=name
        )
    if len(shape) < 2 or (dtype == np.uint8 and len(shape) not in (3, 4)):
        raise CalibrationUnreadable(
            f"Array '{name}' has shape {shape}; images are uint8 of (count, height, width) or (count, height, width, "
            "channels), or float32 of the network's input shape.",
            where=name,
        )
    if shape[0] == 0 or 0 in shape:
        raise CalibrationUnreadable(
            f"Array '{name}' has shape {shape}: no image at all. Send at least one.", where=name
        )
    if shape[0] > COUNT_MAX or math.prod(shape[1:]) * dtype.itemsize > IMAGE_BYTES_MAX:
        raise CalibrationUnreadable(
            f"Array '{name}' has shape {shape}; at most {COUNT_MAX} images of {IMAGE_BYTES_MAX} bytes are read.",
            where=name,
        )
    if header.fortran_order and shape[0] > 1:
        raise CalibrationUnreadable(
            f"Array '{name}' is saved in Fortran order. Save numpy.ascontiguousarray(images).", where=name
        )


def _source(stream: IO[bytes], header: Header, labels: Labels | None, notes: tuple[str, ...]) -> Source:
    shape = header.shape[1:]
    image_bytes = math.prod(shape) * header.dtype.itemsize

    def read(index: int) -> npt.NDArray[Any]:
        content = _read_at(stream, header.offset + index * image_bytes, image_bytes, header.name)
        image = np.frombuffer(content, header.dtype).reshape(shape)
        return _pixels_last(image) if header.dtype == np.uint8 else image

    names = tuple(f"{header.name}[{index}]" for index in range(header.shape[0]))
    return Source(names, read, pictures=False, labels=labels, notes=notes)


def _pixels_last(image: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return (height, width, channels): a plane gets one channel, and channels that come first go last."""
    if image.ndim == 2:
        return image[:, :, np.newaxis]
    if image.shape[0] in (1, 3) and image.shape[2] not in (1, 3):
        return np.ascontiguousarray(image.transpose(1, 2, 0))
    return image


def _read_labels(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> Labels:
    with open_entry(archive, entry) as stream:
        header = _read_header(stream, entry.filename, entry.file_size)
        if len(header.shape) != 1 or header.dtype.kind not in "ui" or header.shape[0] > COUNT_MAX:
            raise CalibrationUnreadable(
                f"Array '{header.name}' has shape {header.shape} of {header.dtype}; labels are one integer an image.",
                where=header.name,
            )
        size_bytes = header.shape[0] * header.dtype.itemsize
        labels = np.frombuffer(_read_at(stream, header.offset, size_bytes, header.name), header.dtype)
    if labels.size and (int(labels.min()) < 0 or int(labels.max()) > np.iinfo(np.int32).max):
        raise CalibrationUnreadable(f"Array '{header.name}' has labels below 0 or absurdly large.", where=header.name)
    return labels.astype(np.int64)


def _read_at(stream: IO[bytes], offset: int, size_bytes: int, name: str) -> bytes:
    try:
        stream.seek(offset)
        content = stream.read(size_bytes)
    except Exception as error:  # zlib.error, BadZipFile, EOFError: whatever a broken entry raises
        raise CalibrationUnreadable(
            f"Array '{name}' cannot be unpacked: {error}. Save it again.", where=name
        ) from error
    if len(content) < size_bytes:
        raise CalibrationUnreadable(f"Array '{name}' ends in the middle of an image. Save it again.", where=name)
    return content
