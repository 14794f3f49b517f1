"""The user's images, from a path to ready inputs. The content says which container it is; the file's name does not."""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from engine.data.channels import ChannelMatcher
from engine.data.containers import LOADERS
from engine.data.containers.source import Source
from engine.data.images import ImageSet, Inputs
from engine.data.preprocess import prepare
from engine.data.sampling import Indices, sample_evenly
from engine.errors import CalibrationUnreadable
from engine.graph.model import TensorInfo
from engine.input_form import InputForm, check_agrees, check_fits, input_form
from engine.recipe import Preprocess

INPUTS_BYTES_MAX = 2**30


def load_images(
    path: Path | None, model_input: TensorInfo, preprocess: Preprocess, *, seed: int, limit: int | None = None
) -> ImageSet:
    """Return the images at `path`, ready for the network; at most `limit`, drawn by `seed` evenly over the classes.

    A set that would fill more than 1 GiB is drawn from as well; the notes say so. No path is no image. Raises
    CalibrationUnreadable for what is not an image set, CalibrationMismatch for images that do not fit the input.
    """
    form = input_form(model_input, preprocess)
    if path is None:
        return ImageSet(np.empty((0, *form.drawn_shape), np.float32), None, ())
    with open_source(path) as source:
        indices = _draw(source, form, seed, limit)
        matcher = ChannelMatcher(form, source.pictures)
        inputs = _read_all(source, matcher, indices)
        notes = (*source.notes, *matcher.finish(), *_drawn_note(len(indices), len(source.names)))
        return ImageSet(
            inputs=inputs,
            labels=None if source.labels is None else source.labels[indices],
            names=tuple(source.names[int(index)] for index in indices),
            class_names=source.class_names,
            notes=notes,
            from_pixels=source.read(int(indices[0])).dtype == np.uint8,
        )


def open_source(path: Path) -> AbstractContextManager[Source]:
    """Open whatever container a set of images is in. Raises CalibrationUnreadable."""
    try:
        return LOADERS[_container_of(path)](path)
    except OSError as error:
        raise CalibrationUnreadable(f"'{path.name}' cannot be opened: {error.strerror}.", where=path.name) from error


def _container_of(path: Path) -> str:
    """Tell the container by its first bytes; an .npz is a zip whose first entry is an array."""
    if path.is_dir():
        return "folder"
    with path.open("rb") as stream:
        start = stream.read(30 + 2**16)
    if start.startswith(b"\x93NUMPY"):
        return "npy"
    if not start.startswith(b"PK"):
        found = f"begins with {start[:6]!r}" if start else "is empty"
        raise CalibrationUnreadable(
            f"'{path.name}' {found}: it is neither a folder, a .zip of pictures, an .npz nor an .npy.", where=path.name
        )
    # A zip entry starts with 30 bytes, its name's length at 26, and the name.
    first_name = start[30 : 30 + int.from_bytes(start[26:28], "little")]
    return "npz" if first_name.endswith(b".npy") else "zip"


def _draw(source: Source, form: InputForm, seed: int, limit: int | None) -> Indices:
    """Return which images to read, ascending: no more than `limit`, no more than fit into memory."""
    generator = np.random.default_rng(seed)
    total = len(source.names)
    indices = np.arange(total)
    if limit is not None and limit < total:
        indices = sample_evenly(source.labels, total, limit, generator)
    probe = _read(source, ChannelMatcher(form, source.pictures), int(indices[0]))
    fitting = max(INPUTS_BYTES_MAX // max(probe.nbytes, 1), 1)
    if fitting < len(indices):
        labels = None if source.labels is None else source.labels[indices]
        indices = indices[sample_evenly(labels, len(indices), fitting, generator)]
    return indices


def _drawn_note(drawn: int, total: int) -> tuple[str, ...]:
    return (f"drew {drawn} of {total} images",) if drawn < total else ()


def _read_all(source: Source, matcher: ChannelMatcher, indices: Indices) -> Inputs:
    inputs: Inputs | None = None
    for position, index in enumerate(indices):
        image = _read(source, matcher, int(index))
        if inputs is None:
            inputs = np.empty((len(indices), *image.shape), np.float32)
        check_agrees(image.shape, inputs.shape[1:], matcher.form, source.names[int(index)])
        inputs[position] = image
    assert inputs is not None  # every loader refuses an empty set
    return inputs


def _read(source: Source, matcher: ChannelMatcher, index: int) -> Inputs:
    name, image = source.names[index], source.read(index)
    if image.dtype != np.uint8:
        return _ready(image, matcher.form, name)
    if not matcher.form.takes_pictures:
        check_fits(image.shape, matcher.form, name)
    return prepare(matcher.match(image, name), matcher.form, name)


def _ready(image: npt.NDArray[Any], form: InputForm, name: str) -> Inputs:
    """Check an image that came as floating point; it passes as it is."""
    check_fits(image.shape, form, name, from_pixels=False)
    with np.errstate(over="ignore"):
        inputs = image.astype(np.float32)
    if not np.isfinite(inputs).all():
        raise CalibrationUnreadable(f"Image '{name}' holds values that are not finite. Save it again.", where=name)
    return inputs
