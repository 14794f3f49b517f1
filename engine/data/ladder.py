"""The data ladder: real images where there are enough, made ones in their place or beside them where not."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass

import numpy as np
import torch

from engine.data.augment import augment
from engine.data.balance import balanced_rows
from engine.data.foreign import concerns, is_uneven
from engine.data.images import ImageSet, together
from engine.data.rungs import RUNGS
from engine.data.rungs.channel_statistics import batch_norms
from engine.data.rungs.priors import token_values
from engine.data.rungs.procedural import sized_as
from engine.data.site import Said, Site
from engine.data.splits import Split, split
from engine.data.synthesis.draw import LEAST_DRAWN, SIDE_MOST
from engine.data.verdict import REAL_LEAST, check
from engine.input_form import input_form
from engine.recipe import Synthesis
from engine.report import CheckFigure, DataUse

ENOUGH_IMAGES = 16
PLENTY_IMAGES = 200
"""From here on drawn pictures beside the real ones were not tried."""
DRAWN_BESIDE_EACH = 4
DRAWN_BESIDE_MOST = 256
"""More would make the repair set, views of the real images included, longer than that of 500 images."""
DRAWN_IMAGES = 512
SECONDS_A_PICTURE, SECONDS_A_PIXEL = 0.01, 2.5e-6
"""What drawing takes on one ordinary core: it sets how many are drawn, so that the number is the same on all."""
CROPS_OF_EACH = 8
"""Views of each of a handful of real images beside hundreds of made ones."""


@dataclass(frozen=True)
class Climbed:
    """Who sees which image, what the report says of it, and what its reader should be warned of."""

    split: Split
    use: DataUse
    warnings: tuple[str, ...]


def climb(images: ImageSet, site: Site, synthesis: Synthesis = "auto") -> Climbed:
    """Share out the user's images. Below 200 drawn ones repair beside them, below 16 made ones select as well.

    Without any there are no image tests, because agreement on made pictures says nothing about photographs.
    """
    if len(images) >= ENOUGH_IMAGES:
        return _real(images, site)
    name = _chosen(site, images, synthesis)
    count = _count(images, site)
    real = site.ask(images) if len(images) >= REAL_LEAST else None
    made = RUNGS[name].make(site, images, count)
    figures = check(site.ask(made), real)
    fallen: tuple[str, ...] = ()
    if name != "procedural" and not _passed(figures) and synthesis == "auto":
        fallen = (f"images made by {name} failed the check ({_failed(figures)}) and were not used",)
        name, made = "procedural", RUNGS["procedural"].make(site, images, count)
        figures = check(site.ask(made), real)
    notes = (*images.notes, *fallen, *made.notes)
    parts = _shared_out(images, made, site)
    use = _use(RUNGS[name].number, _source(name, images), parts, made, notes, synthesis=name, check=figures)
    return Climbed(parts, use, _warnings(figures))


def _real(images: ImageSet, site: Site) -> Climbed:
    """Let real images do all, and where they are few let drawn ones repair beside them, if those pass their check."""
    parts = split(images, site.seed)
    of_repair = site.ask(parts.repair)
    said = of_repair.beside(site.ask(together(parts.selection, parts.test)))
    warnings = concerns(images, said, site.seed)
    drawn = _beside(images, len(parts.repair), site)
    parts = dataclasses.replace(parts, repair=_evened(parts.repair, of_repair, site.seed))
    if drawn is None:
        return Climbed(parts, _use(0, "calibration", parts, None, images.notes), warnings)
    figures = check(site.ask(drawn), said)
    if not _passed(figures):
        fallen = f"drawn pictures failed the check ({_failed(figures)}) and were not used beside the real images"
        return Climbed(parts, _use(0, "calibration", parts, None, (*images.notes, fallen)), warnings)
    views = math.ceil(len(drawn) / len(parts.repair))
    parts = dataclasses.replace(parts, repair=together(_seen_otherwise(parts.repair, site, views), drawn))
    notes = (*images.notes, *drawn.notes)
    use = _use(1, "mixed", parts, drawn, notes, synthesis="procedural", check=figures)
    return Climbed(parts, use, warnings)


def _evened(images: ImageSet, said: Said, seed: int) -> ImageSet:
    """Return the images with those of rarer classes repeated, where classes are out of balance."""
    if said.classes is None or not is_uneven(said, seed):
        return images
    return images.take(balanced_rows(said.classes, seed))


def _beside(images: ImageSet, repairing: int, site: Site) -> ImageSet | None:
    """Return pictures to repair from beside so many real ones, None where those are plenty or no pictures."""
    form = input_form(site.model_input, site.preprocess)
    are_pictures = form.takes_pictures and form.channels in (1, 3) and images.from_pixels
    if len(images) >= PLENTY_IMAGES or not are_pictures:
        return None
    count = min(DRAWN_BESIDE_EACH * repairing, DRAWN_BESIDE_MOST, _count(images, site))
    return RUNGS["procedural"].make(site, images, count)


def _chosen(site: Site, images: ImageSet, synthesis: Synthesis) -> str:
    """Return the rung's name: without a GPU, or without statistics to go by, drawn pictures are the best there is."""
    if synthesis != "auto":
        return synthesis
    if site.device == "cpu":
        return "procedural"
    if batch_norms(site.model) or len(images):
        return "inversion"
    return "priors" if token_values(site.model) else "procedural"


def _count(images: ImageSet, site: Site) -> int:
    """Return how many to make: DRAWN_IMAGES, or fewer where that would take longer than the seconds."""
    height, width, _ = input_form(sized_as(images, site.model_input), site.preprocess).drawn_size
    pixels = min(height, SIDE_MOST) * min(width, SIDE_MOST)
    return int(min(DRAWN_IMAGES, max(LEAST_DRAWN, site.seconds / (SECONDS_A_PICTURE + SECONDS_A_PIXEL * pixels))))


def _shared_out(images: ImageSet, made: ImageSet, site: Site) -> Split:
    """Let the real images test and, seen in several ways, repair beside the made ones."""
    parts = split(made, site.seed)
    if not len(images):
        return dataclasses.replace(parts, repair=together(parts.repair, parts.test), test=images)
    real = split(images, site.seed)
    crops = _seen_otherwise(real.repair, site, CROPS_OF_EACH)
    return Split(together(crops, parts.repair), together(real.selection, parts.selection), real.test)


def _seen_otherwise(images: ImageSet, site: Site, count: int) -> ImageSet:
    """Return each image in `count` views, the first as it is, so that made ones beside them do not prevail."""
    generator = torch.Generator().manual_seed(site.seed)
    inputs = torch.from_numpy(images.inputs)
    views = [augment(inputs, generator, layout=site.preprocess.layout).numpy() for _ in range(count - 1)]
    return ImageSet(np.concatenate([images.inputs, *views]), None, images.names * count)


def _source(name: str, images: ImageSet) -> str:
    if len(images):
        return "mixed"
    return "procedural" if name == "procedural" else "inverted"


def _passed(figures: tuple[CheckFigure, ...]) -> bool:
    return all(figure.passed for figure in figures)


def _failed(figures: tuple[CheckFigure, ...]) -> str:
    return ", ".join(f"{figure.name} {figure.value:.2f}" for figure in figures if not figure.passed)


def _warnings(figures: tuple[CheckFigure, ...]) -> tuple[str, ...]:
    if _passed(figures):
        return ()
    return (
        f"The made images failed their check ({_failed(figures)}): expect more loss of accuracy. Send real images, or "
        "check preprocess.mean, std and scale, by which made images are prepared, too.",
    )


def _use(
    rung: int,
    source: str,
    parts: Split,
    made: ImageSet | None,
    notes: tuple[str, ...],
    *,
    synthesis: str | None = None,
    check: tuple[CheckFigure, ...] = (),
) -> DataUse:
    return DataUse.model_validate(
        {
            "rung": rung,
            "source": source,
            "repair_images": len(set(parts.repair.names)),
            "selection_images": len(parts.selection),
            "made_images": 0 if made is None else len(made),
            "test_images": len(parts.test),
            "synthesis": synthesis,
            "check": check,
            "notes": notes,
        }
    )
