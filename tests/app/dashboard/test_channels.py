"""What became of the channels, of the zeros and of the controls, on the page of the job."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from xml.etree import ElementTree

import pytest
from starlette.testclient import TestClient

from app.dashboard.group_chart import HEIGHT, group_chart
from app.services import Services
from engine.report import GroupDecision
from tests.app.dashboard.samples import add_model, finish_job, sample_control, sample_report, start_job, submit_job


def group(name: str, channels: int, kept: int) -> GroupDecision:
    return GroupDecision(
        name=name, channels=channels, kept=kept, recoverability=None, latency_share=None, reason="<because>"
    )


def test_what_stays_and_what_goes_are_as_high_as_the_group_is_wide() -> None:
    """The widest fills the picture, and the two parts of each stand on one another."""
    picture = ElementTree.fromstring(group_chart([group("a", 64, 48), group("b", 32, 32)]))

    columns = [column for column in picture.iter("g") if column.get("class") == "unit"]
    bars = [{bar.get("class"): bar for bar in column.iter("rect")} for column in columns]
    heights = [{name: float(bar.get("height", 0)) for name, bar in each.items()} for each in bars]
    assert heights[0]["kept"] + heights[0]["cut"] == pytest.approx(HEIGHT)
    assert heights[0]["kept"] == pytest.approx(0.75 * HEIGHT)
    assert (heights[1]["kept"], heights[1]["cut"]) == (pytest.approx(0.5 * HEIGHT), 0)
    assert float(bars[0]["cut"].get("y", -1)) == 0
    assert "1 of 2 groups of channels narrowed" in "".join(picture.itertext())


def test_the_page_tells_of_channels_zeros_and_controls(admin: TestClient, services: Services, tmp_path: Path) -> None:
    untrained = sample_control(name="scratch_b", accuracy=None, difference=None, meaning="Not trained: no labels.")
    report = sample_report(groups=(group("stage<3>", 64, 48),), controls=(sample_control(), untrained))
    job_id = submit_job(services.database, add_model(services.database))
    finish_job(services.database, services.storage, start_job(services.database, job_id), tmp_path, report)

    html = admin.get(f"/admin/jobs/{job_id}").text

    starts = [html.index(f'id="{name}"') for name in ("groups", "zeros", "controls", "stages")]
    channels, zeros, controls = (html[start:end] for start, end in pairwise(starts))
    assert "stage&lt;3&gt;: 48 of 64 channels stay. &lt;because&gt;" in channels
    assert "not measured" in channels
    assert all(said in zeros for said in ("2:4", "420 k", "840 k", "1.9 MB", "3.21 MB"))
    assert all(said in controls for said in ("51.2 %", "81.4 %", "30.2 %", "of 160", "not measured", "Not trained"))


def test_a_report_without_them_has_none_of_their_parts(admin: TestClient, services: Services, tmp_path: Path) -> None:
    report = sample_report(groups=(), controls=(), zeros=None)
    job_id = submit_job(services.database, add_model(services.database))
    finish_job(services.database, services.storage, start_job(services.database, job_id), tmp_path, report)

    html = admin.get(f"/admin/jobs/{job_id}").text

    assert [name for name in ("groups", "zeros", "controls") if f'id="{name}"' in html] == []
    assert "Groups narrowed" not in html
