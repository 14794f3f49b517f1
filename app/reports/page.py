"""A report as one page that stands alone: no script, no link to elsewhere, its style and pictures inside it."""

from __future__ import annotations

from typing import Final

from markupsafe import Markup

from app.dashboard.pages.job import draw, report_parts
from app.dashboard.render import ENVIRONMENT, STATIC
from core.db import Record
from engine.report import Report

STYLE: Final = Markup(STATIC["dashboard.css"].decode())  # noqa: S704  # ours, and it holds no markup
HEADERS: Final = {
    "Cache-Control": "private, no-cache",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; frame-ancestors 'none'",
    "Vary": "Accept",
}
"""A page of ours has no inline style anywhere else; this one is made to be saved."""

PLOT_WIDTH: Final = 720


def html_page(job: Record, report: Report) -> str:
    """Return the whole page."""
    context = {"job": job, "report": report, "style": STYLE} | report_parts(report, [])
    return ENVIRONMENT.get_template("report_page.html").render(context)


def plot_names(report: Report) -> list[str]:
    """Return which pictures the report has the numbers for."""
    return [name for name, drawn in draw(report).items() if drawn is not None]


def svg_file(report: Report, name: str) -> str | None:
    """Return one picture as a file of its own, with the style that it needs; None where there are no numbers for it."""
    drawn = draw(report).get(name)
    if drawn is None:
        return None
    head = f'<svg xmlns="http://www.w3.org/2000/svg" style="max-width: {PLOT_WIDTH}px"'
    opening, closing = str(drawn).split(">", 1)
    return f"{opening.replace('<svg', head, 1)}><style>{STYLE}</style>{closing}"
