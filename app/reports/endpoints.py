"""`/v1/jobs/{job_id}/report` and what is made from it: a page, pictures, a comparison with another job."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request, Response

from app.answers import json_answer
from app.deps import Reader, Tenant
from app.errors import Problem
from app.openapi import problems
from app.reports.comparison import compare_jobs
from app.reports.page import HEADERS, html_page, plot_names, svg_file
from app.reports.schemas import ComparisonView
from app.reports.stored import read_report, report_row
from core.db import Record
from core.queries import job_files_statement
from engine.report import Report

router = APIRouter(prefix="/v1/jobs", tags=["reports"], responses=problems("not-found"))

PAGE: dict[int | str, dict[str, Any]] = {
    200: {"content": {"text/html": {"schema": {"type": "string"}}}, "description": "JSON, or a page that stands alone."}
}
PLOT: dict[int | str, dict[str, Any]] = {
    200: {"content": {"image/svg+xml": {"schema": {"type": "string"}}}, "description": "The picture."}
}


@router.get("/{job_id}/report", name="get_job_report", response_model=Report, responses=PAGE)
async def get_report(request: Request, job_id: str, tenant: Reader) -> Response:
    """Show what came of a job: measured numbers with their intervals, what was cut and why.

    With `Accept: text/html`, as one page that needs nothing else and can be saved.
    """
    row = await report_row(tenant, job_id)
    if not _wants_page(request):
        return json_answer(row["report"], headers={"Vary": "Accept"})
    page = html_page(await _job(tenant, job_id), await read_report(tenant, job_id))
    return Response(page, headers=HEADERS, media_type="text/html; charset=utf-8")


@router.get("/{job_id}/plots/{name}", response_class=Response, responses=PLOT)
async def get_plot(job_id: str, name: str, tenant: Reader) -> Response:
    """Draw one picture of the report, as SVG with its style inside: latency, ratio, fidelity, units, recovery, data,
    stages or front."""
    report = await read_report(tenant, job_id)
    drawn = svg_file(report, name)
    if drawn is None:
        message = f"The report has no picture '{name[:40]}'. It has {', '.join(plot_names(report))}."
        raise Problem("not-found", message)
    headers = {key: value for key, value in HEADERS.items() if key != "Vary"}
    return Response(drawn, headers=headers, media_type="image/svg+xml")


@router.get("/{job_id}/compare/{other_job_id}", name="compare_jobs", response_model=ComparisonView)
async def compare(job_id: str, other_job_id: str, tenant: Reader) -> Response:
    """Lay two jobs side by side: what was asked differently, what came of it, and how sure that is."""
    first, second = await read_report(tenant, job_id), await read_report(tenant, other_job_id)
    jobs = (await _job(tenant, job_id), await _job(tenant, other_job_id))
    return json_answer(compare_jobs(jobs, (first, second)).model_dump(mode="json"))


def _wants_page(request: Request) -> bool:
    """Say whether a browser asks: JSON is for whoever does not name HTML, or names JSON before it."""
    accepted = request.headers.get("Accept", "")
    html, json = accepted.find("text/html"), accepted.find("application/json")
    return html >= 0 and (json < 0 or html < json)


async def _job(tenant: Tenant, job_id: str) -> Record:
    return await tenant.get(job_files_statement, "job", job_id, job_id=job_id)
