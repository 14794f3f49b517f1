"""The law of the pictures and of the page: every number that is shown is the report's."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from starlette.testclient import TestClient

from app.dashboard import formats
from app.dashboard.charts import Mark, hour_bars, latency_bars, ratio_scale, units_strip
from app.dashboard.pages.job import draw
from app.services import Services
from engine.recipe import LatencyMs, ParametersRatio, Recipe
from engine.report import Interval, Latency, LatencyComparison, Report
from tests.app.dashboard.samples import add_model, finish_job, sample_report, start_job, submit_job

NUMBER = re.compile(r"\d(?:[\d,]*\d)?(?:\.\d+)?")
LABELS = {"50", "95", "1"}  # p50, p95, and the 1 that means as fast as before


def shaken_report(seed: int) -> Report:
    """Return the sample with every measured figure moved by chance, so that no number repeats another."""
    rng = random.Random(seed)
    dumped = _shaken(sample_report(unit_count=seed * 13, seed=seed).model_dump(mode="json", exclude={"recipe"}), rng)
    return Report.model_validate(dumped | {"recipe": Recipe().model_dump(mode="json")})


def _shaken(value: Any, rng: random.Random) -> Any:
    if isinstance(value, dict):
        return {
            name: inner if name in ("rung", "format_version") else _shaken(inner, rng) for name, inner in value.items()
        }
    if isinstance(value, list):
        return [_shaken(inner, rng) for inner in value]
    if isinstance(value, int):
        return value + rng.randrange(90)
    return value * rng.uniform(0.9, 1.1) if isinstance(value, float) else value


@pytest.mark.parametrize("seed", [0, 1, 4])
def test_every_number_of_a_picture_is_the_reports(seed: int) -> None:
    report = shaken_report(seed)
    allowed = LABELS | set(_tokens_of(report.model_dump(mode="json")))
    allowed |= {str(sum(unit.decision == "cut" for unit in report.units)), str(len(report.units))}
    allowed |= {str(sum(group.is_narrowed for group in report.groups)), str(len(report.groups))}

    for name, picture in draw(report).items():
        if picture is not None:
            shown = " ".join(ElementTree.fromstring(picture).itertext())
            assert set(NUMBER.findall(shown)) <= allowed, name


@pytest.mark.parametrize("seed", [1, 4])
def test_every_number_of_the_page_is_the_reports(
    admin: TestClient, services: Services, tmp_path: Path, seed: int
) -> None:
    report = shaken_report(seed)
    job_id = submit_job(services.database, add_model(services.database))
    finish_job(services.database, services.storage, start_job(services.database, job_id), tmp_path, report)

    text = admin.get(f"/admin/jobs/{job_id}").text
    section = text[text.index('id="outcome"') : text.index('id="facts"')]
    shown = {float(value) for value in re.findall(r'<data value="([^"]+)"', section)}

    assert len(shown) > 20
    assert shown <= set(map(float, _numbers_of(report.model_dump(mode="json"))))


def _numbers_of(value: Any) -> Iterator[float]:
    if isinstance(value, dict | list):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from _numbers_of(inner)
    elif isinstance(value, int | float):
        yield value


def _tokens_of(value: Any) -> Iterator[str]:
    """Give the numbers in every form in which a leaf of the report may be written."""
    if isinstance(value, dict | list):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from _tokens_of(inner)
    elif isinstance(value, str):
        yield from NUMBER.findall(value)
    elif isinstance(value, int | float):
        for form in (str, formats.significant, formats.percent, formats.duration):
            yield from NUMBER.findall(form(value))


def test_bars_are_as_long_as_their_numbers() -> None:
    timed = [Latency(latency_ms_p50=p50, latency_ms_p95=p50 * 1.2, samples=9) for p50 in (8.0, 2.0)]
    ratio = Interval(value=0.25, low=0.2, high=0.3)

    bars = _rectangles(latency_bars(LatencyComparison(original=timed[0], delivered=timed[1], ratio=ratio)))

    assert bars["original"] == pytest.approx(4 * bars["delivered"], rel=1e-3)


def test_an_interval_lies_around_its_value_and_left_of_one_is_faster() -> None:
    picture = ElementTree.fromstring(ratio_scale(Interval(value=0.5, low=0.4, high=0.7), Mark(0.6, "target 0.6")))

    interval = next(line for line in picture.iter("line") if line.get("class") == "interval")
    parity = next(line for line in picture.iter("line") if line.get("class") == "parity")
    value = _share(picture.find("circle"), "cx")
    assert _share(interval, "x1") < value < _share(interval, "x2") < _share(parity, "x1") < 1
    assert value == pytest.approx(0.5 * _share(parity, "x1"), rel=1e-3)


def test_a_picture_never_leaves_its_place() -> None:
    """A ratio far above 1, a target above it, units without any measurement: nothing is drawn past the edges."""
    bare = {"latency_share": None, "recoverability": None}
    slow = sample_report(
        latency=sample_report().latency.model_copy(update={"ratio": Interval(value=3.1, low=2.0, high=4.5)}),
        recipe=Recipe(target=LatencyMs(latency_ms=99.0)),
        units=tuple(unit.model_copy(update=bare) for unit in sample_report().units),
    )

    for name, picture in draw(slow).items():
        for element in ElementTree.fromstring(picture or "<svg/>").iter():
            for attribute in ("x", "x1", "x2", "cx", "width"):
                at = element.get(attribute, "0")
                assert not at.endswith("%") or 0 <= float(at[:-1]) <= 100, f"{name}: {attribute}={at}"


def test_a_target_that_is_not_about_latency_is_not_on_the_scale_of_latency() -> None:
    report = sample_report(recipe=Recipe(target=ParametersRatio(parameters_ratio=0.5)))

    assert "target" not in (draw(report)["ratio"] or "")


def test_no_units_and_no_jobs_are_pictures_too() -> None:
    assert "0 of 0 units cut" in units_strip(())
    assert "no jobs" in hour_bars([{"succeeded": 0}])


@pytest.mark.parametrize(
    ("shown", "expected"),
    [
        (formats.significant(0.0001234567), "0.000123"),
        (formats.significant(12345), "12,345"),
        (formats.significant(0), "0"),
        (formats.significant(0.00000005), "5e-08"),
        (formats.milliseconds(14.7312), "14.7 ms"),
        (formats.percent(0.82431), "82.4 %"),
        (formats.count(855_770), "856 k"),
        (formats.count(42), "42"),
        (formats.size(2_691_455), "2.69 MB"),
        (formats.size(12), "12 B"),
        (formats.duration(73.4), "1 min 13 s"),
        (formats.duration(7325), "2 h 02 min"),
        (formats.duration(3.14), "3.1 s"),
        (formats.change(10, 7), "\N{MINUS SIGN}30.0 %"),
        (formats.change_of_share(0.8, 0.813), "+1.3 points"),
    ],
)
def test_numbers_read_well(shown: str, expected: str) -> None:
    assert shown == expected


def _rectangles(picture: str) -> dict[str, float]:
    found = ElementTree.fromstring(picture).iter("rect")
    return {str(rectangle.get("class")): _share(rectangle, "width") for rectangle in found}


def _share(element: ElementTree.Element | None, attribute: str) -> float:
    assert element is not None
    return float(element.attrib[attribute].removesuffix("%")) / 100
