"""The picture of a front: every network in it, as far right as it is slow, as high as it errs; a file of its own."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest

from engine.plot import HEIGHT, WIDTH, front_svg
from tests.app.dashboard.samples import sample_front

SVG = "{http://www.w3.org/2000/svg}"


@pytest.mark.parametrize("count", [1, 8, 16])
def test_every_network_is_a_point_in_its_place(count: int) -> None:
    report = sample_front(count, summary='<b>"fast" & small</b>')

    drawn = ElementTree.fromstring(front_svg(report))

    points = [one for one in drawn.iter(f"{SVG}circle") if one.get("class") in ("point", "model")]
    x, y = ([float(one.get(name) or "") for one in points] for name in ("cx", "cy"))
    assert len(points) == count
    assert x == sorted(x, reverse=True)
    assert y == sorted(y, reverse=True)
    assert [one.get("class") for one in points].count("model") == 1
    assert all(0 <= one <= WIDTH for one in x)
    assert all(0 <= one <= HEIGHT for one in y)
    assert drawn.findtext(f"{SVG}title") == report.summary


def test_networks_without_any_error_are_drawn_too() -> None:
    report = sample_front(2)
    exact = tuple(
        one.model_copy(update={"recovery": one.recovery.model_copy(update={"error_final": 0.0})})
        for one in report.candidates
    )

    assert front_svg(report.model_copy(update={"candidates": exact})).count('class="point"') == 1
