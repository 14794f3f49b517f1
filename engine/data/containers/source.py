"""What every container looks like once it is open: names, labels and a way to read one image."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy.typing as npt

from engine.data.images import Labels


@dataclass(frozen=True)
class Source:
    """An open container; nothing is decoded before `read` asks for it.

    `read(index)` returns uint8 pixels (height, width, channels) or one ready input of floating point. Ask in ascending
    order: a compressed array can only be read forward. `pictures` says that pixels come from picture files, whose
    colours may be converted to what the network takes; those of arrays must fit as they are.
    """

    names: tuple[str, ...]
    read: Callable[[int], npt.NDArray[Any]]
    pictures: bool
    labels: Labels | None = None
    class_names: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
