"""Pictures drawn by seed from a zip into another: as they come, with rare classes, or those kept for the test."""

from __future__ import annotations

import random
import zipfile
from collections.abc import Iterable, Sequence
from pathlib import Path

from benchmarks.trained.sources import Pictures, reserved

IMBALANCE = 10
"""In an imbalanced draw, half of the classes come so many times as often as the others."""


def draw(pictures: Pictures, data: Path, target: Path, count: int, seed: int) -> Path:
    """Write `count` pictures, each as likely as any other; those that are a test are never among them."""
    archive = data / pictures.file
    return _copy(archive, target, random.Random(seed).sample(free_names(pictures, archive), count))


def draw_unlabelled(pictures: Pictures, data: Path, target: Path, count: int, seed: int) -> Path:
    """Write the pictures that `draw` would, in no folders, so that nothing tells their classes."""
    archive = data / pictures.file
    names = random.Random(seed).sample(free_names(pictures, archive), count)
    with zipfile.ZipFile(archive) as labelled, zipfile.ZipFile(target, "w") as chosen:
        for number, name in enumerate(names):
            chosen.writestr(f"{number:06}{Path(name).suffix}", labelled.read(name))
    return target


def draw_imbalanced(pictures: Pictures, data: Path, target: Path, count: int, seed: int) -> Path:
    """Write `count` pictures of which half of the classes, drawn by seed, have ten times as many as the others."""
    archive = data / pictures.file
    return _copy(archive, target, imbalanced(free_names(pictures, archive), count, seed))


def all_to_test_on(pictures: Pictures, data: Path, target: Path) -> Path:
    """Return a zip of all test pictures; `target` is written where only a part of a file is the test."""
    archive = data / pictures.file
    if not pictures.reserved:
        return archive
    return _copy(archive, target, reserved(picture_names(archive), pictures.reserved))


def free_names(pictures: Pictures, archive: Path) -> list[str]:
    """Return, in order, the names of the pictures that a job may see."""
    names = picture_names(archive)
    kept = set(reserved(names, pictures.reserved))
    return [name for name in names if name not in kept]


def picture_names(archive: Path) -> list[str]:
    """Return the names of a zip's pictures, in order."""
    with zipfile.ZipFile(archive) as pictures:
        return sorted(name for name in pictures.namelist() if name.endswith(".jpg"))


def imbalanced(names: Sequence[str], count: int, seed: int) -> list[str]:
    """Return `count` of the names, `class/picture`: half of the classes ten times as often as the others.

    500 of ten classes are 91 of each of five classes and 9 of each of the other five.
    """
    choice = random.Random(seed)
    classes: dict[str, list[str]] = {}
    for name in names:
        classes.setdefault(name.split("/")[0], []).append(name)
    order = choice.sample(sorted(classes), len(classes))
    frequent = len(order) // 2
    rare_each = max(round(count / (frequent * IMBALANCE + len(order) - frequent)), 1)
    wanted = dict.fromkeys(order[frequent:], rare_each)
    left = count - sum(wanted.values())
    wanted |= {each: left // frequent + (place < left % frequent) for place, each in enumerate(order[:frequent])}
    return [name for each, number in wanted.items() for name in choice.sample(classes[each], number)]


def _copy(archive: Path, target: Path, names: Iterable[str]) -> Path:
    with zipfile.ZipFile(archive) as pictures, zipfile.ZipFile(target, "w") as chosen:
        for name in names:
            chosen.writestr(name, pictures.read(name))
    return target
