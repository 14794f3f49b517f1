"""One picture file from bytes to pixels, under hard limits; and what its place among folders says about its class."""

from __future__ import annotations

import io
import warnings
from collections import Counter
from collections.abc import Sequence
from posixpath import basename, dirname, splitext

import numpy as np
from PIL import Image, UnidentifiedImageError

from engine.data.images import Labels, Pixels
from engine.errors import CalibrationUnreadable

FORMATS = ("JPEG", "PNG", "WEBP", "BMP")
SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp")
PIXELS_MAX = 40_000_000
FILE_BYTES_MAX = 64 * 2**20
COUNT_MAX = 200_000
MODES = {
    "1": "L",
    "L": "L",
    "LA": "L",
    "P": "RGB",
    "PA": "RGB",
    "RGB": "RGB",
    "RGBA": "RGB",
    "CMYK": "RGB",
    "YCbCr": "RGB",
}


def decode(encoded: bytes, name: str) -> Pixels:
    """Return (height, width, 1 or 3) pixels; transparency is dropped, the stored orientation kept.

    Raises CalibrationUnreadable for a broken file, another format, over 40 million pixels, or what Pillow warns of.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            with Image.open(io.BytesIO(encoded), formats=FORMATS) as picture:
                _check_size_and_mode(picture, name)
                pixels = np.asarray(picture.convert(MODES[picture.mode]))
    except CalibrationUnreadable:
        raise
    except (
        Exception
    ) as error:  # Pillow's decoders raise whatever their parsers stumble on: OSError, struct.error, KeyError…
        why = "it does not begin like one" if isinstance(error, UnidentifiedImageError) else str(error)
        raise CalibrationUnreadable(
            f"Picture '{name}' cannot be decoded as {', '.join(FORMATS)}: {why}. Remove it or send it again.",
            where=name,
        ) from error
    return pixels if pixels.ndim == 3 else pixels[:, :, np.newaxis]


def _check_size_and_mode(picture: Image.Image, name: str) -> None:
    """Refuse before any pixel is decoded: only the header has been read."""
    width, height = picture.size
    if width * height > PIXELS_MAX:
        raise CalibrationUnreadable(
            f"Picture '{name}' has {width} x {height} pixels; at most {PIXELS_MAX} are read. Scale it down.",
            where=name,
        )
    if picture.mode not in MODES:
        raise CalibrationUnreadable(
            f"Picture '{name}' stores its pixels as {picture.mode}; 8 bits a channel are read. "
            "Convert it, or send an .npz of float32 arrays.",
            where=name,
        )


def pick_pictures(names: Sequence[str], container: str) -> tuple[list[int], tuple[str, ...]]:
    """Return the indices of the picture files among `names`, and a note that counts the rest.

    Raises CalibrationUnreadable when there is none, or too many.
    """
    picked, ignored = [], Counter[str]()
    for index, name in enumerate(names):
        if _is_picture(name):
            picked.append(index)
        else:
            ignored[splitext(name)[1].lower() or "no suffix"] += 1
    if not picked:
        raise CalibrationUnreadable(
            f"There is no picture in '{container}': found {_listing(ignored) or 'no file at all'}. "
            f"Send {', '.join(SUFFIXES)} files; class sub-folders are labels.",
            where=container,
        )
    if len(picked) > COUNT_MAX:
        raise CalibrationUnreadable(
            f"'{container}' has {len(picked)} pictures; at most {COUNT_MAX} are read. A few hundred are enough.",
            where=container,
        )
    return picked, (f"ignored files that are not pictures: {_listing(ignored)}",) if ignored else ()


def _is_picture(name: str) -> bool:
    hidden = basename(name).startswith(".") or "__MACOSX" in name.split("/")  # macOS leaves ._cat.jpg beside cat.jpg
    return name.lower().endswith(SUFFIXES) and not hidden


def _listing(counts: Counter[str]) -> str:
    return ", ".join(f"{count} ({suffix})" for suffix, count in counts.most_common(5))


def labels_from_folders(names: Sequence[str]) -> tuple[Labels | None, tuple[str, ...]]:
    """Read each picture's class from its folder; None where the folders tell no classes.

    1. Every folder name is an integer: that integer is the label, so a sample of some classes keeps its numbers.
    2. Otherwise the sorted order of the folder names, if there are at least two and every picture is in one.
    Folders above the classes (train/cat, train/dog) are passed over.
    """
    folders = [basename(dirname(name)) for name in names]
    class_names = tuple(sorted(set(folders)))
    if all(name.isdecimal() and len(name) <= 9 for name in class_names):  # 1
        return np.array([int(folder) for folder in folders], np.int64), class_names
    if len(class_names) < 2 or "" in class_names or _is_nested(names):
        return None, ()
    rank = {name: index for index, name in enumerate(class_names)}  # 2
    return np.array([rank[folder] for folder in folders], np.int64), class_names


def _is_nested(names: Sequence[str]) -> bool:
    """Tell whether some pictures lie deeper than others, or one class folder inside another."""
    return len({name.count("/") for name in names}) > 1
