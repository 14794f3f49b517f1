"""Every colour of text can be read on every colour of paper, by day and by night (WCAG 2.2, AA)."""

from __future__ import annotations

import re

import pytest

from app.dashboard.render import STATIC

COLOURS = dict(re.findall(r"--([\w-]+): light-dark\(([^)]+)\)", STATIC["dashboard.css"].decode()))
TEXT, MARKS, PAPERS = ("ink", "muted", "green", "clay", "amber"), ("slate", "blue", "green"), ("paper", "ground")


@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
@pytest.mark.parametrize(
    ("front", "back", "least"),
    [(front, back, 4.5) for front in TEXT for back in PAPERS]
    + [(front, back, 3.0) for front in MARKS for back in PAPERS]
    + [("on-green", "green", 4.5), ("ink", "track", 4.5)],
)
def test_contrast(front: str, back: str, least: float, scheme: int) -> None:
    light, dark = sorted(_luminance(COLOURS[name].split(", ")[scheme]) for name in (front, back))[::-1]

    assert (light + 0.05) / (dark + 0.05) >= least


def _luminance(colour: str) -> float:
    """Return the relative luminance of #rrggbb, 0 to 1."""
    channels = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4 for value in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
