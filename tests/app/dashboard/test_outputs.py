"""Further files of a model, and what each of its outputs still says, on the page of the job."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from app.dashboard.pages.job import output_words
from app.services import Services
from engine.report import Bounds, Fidelity, Interval, MissingOutput, OutputFidelity
from tests.app.dashboard.reading import links_of
from tests.app.dashboard.samples import add_model, finish_job, sample_output, sample_report, start_job, submit_job


def test_further_files_are_told_and_can_be_downloaded(admin: TestClient, services: Services, tmp_path: Path) -> None:
    missing = MissingOutput(kind="fp16", reason="No <b>weight</b> has 32 bits.")
    report = sample_report(outputs=(sample_output("int8"),), missing_outputs=(missing,))
    job_id = submit_job(services.database, add_model(services.database))
    claim = start_job(services.database, job_id)
    finish_job(services.database, services.storage, claim, tmp_path, report, content=b"in 8 bits")

    html = admin.get(f"/admin/jobs/{job_id}").text

    section = html[html.index('id="outputs"') : html.index('id="warnings"')]
    (link,) = (link for link in links_of(section) if "/artifacts/" in link)
    assert admin.get(link).content == b"in 8 bits"
    for said in ("0.911", "0.902", "701 kB", "images of the repair", "No &lt;b&gt;weight"):
        assert said in section
    assert len([link for link in links_of(html) if "/artifacts/" in link]) == 2  # and the model's button


@pytest.mark.parametrize(
    ("output", "said"),
    [
        (OutputFidelity(output="map", relative_error=0.1, cosine=0.99), "cosine 0.99, relative error 0.1"),
        (
            OutputFidelity(
                output="mask", relative_error=0.1, cosine=0.9, match=0.98, match_95=Bounds(low=0.97, high=0.99)
            ),
            "cosine 0.9, relative error 0.1, equal values 0.98 (0.97 to 0.99)",
        ),
        (
            OutputFidelity(
                output="scores", relative_error=0, cosine=1, agreement=Interval(value=1.0, low=0.92, high=1.0)
            ),
            "cosine 1, relative error 0, agreement 1 (0.92 to 1)",
        ),
        (
            OutputFidelity(output="boxes", relative_error=None, cosine=None, incomparable_images=7),
            "answers of another shape to 7 images",
        ),
    ],
)
def test_each_output_is_told_with_the_figures_that_it_has(output: OutputFidelity, said: str) -> None:
    assert re.sub(r"<[^>]+>", "", output_words(output)) == said


@pytest.mark.parametrize(
    ("errors", "said"), [((0.125, 0.25), "0.25 the largest of 2 outputs"), ((None,), "\N{EN DASH} of what it says")]
)
def test_a_network_without_class_scores_is_not_told_to_be_unmeasured(
    errors: tuple[float | None, ...], said: str, admin: TestClient, services: Services, tmp_path: Path
) -> None:
    outputs = tuple(OutputFidelity(output="map", relative_error=error, cosine=error) for error in errors)
    fidelity = Fidelity(images=9, agreement=None, kl_divergence=None, outputs=outputs)
    job_id = submit_job(services.database, add_model(services.database))
    claim = start_job(services.database, job_id)
    finish_job(services.database, services.storage, claim, tmp_path, sample_report(fidelity=fidelity))

    html = admin.get(f"/admin/jobs/{job_id}").text

    figures = html[html.index('id="outcome"') : html.index('id="latency"')]
    words = " ".join(re.sub(r"<[^>]+>", " ", figures).split())
    assert said in words
    assert "unmeasured" not in words
