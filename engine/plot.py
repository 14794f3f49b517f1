"""A front as a picture of its own, in SVG: latency against error, for whoever opens the file. Knows only the report."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from xml.sax.saxutils import escape

from engine.report import CandidateReport, Report

WIDTH, HEIGHT = 720, 440
LEFT, RIGHT, TOP, BOTTOM = 72, 24, 56, 64
STYLE = (
    "text{font:13px system-ui,sans-serif;fill:#24313a}.small{font-size:11px;fill:#5b6b75}.axis{stroke:#9aa7af}"
    ".grid{stroke:#e3e8eb}.front{fill:none;stroke:#2f6f5e;stroke-width:1.5}.point{fill:#2f6f5e}.model{fill:#c2571a}"
    ".dropped{fill:none;stroke:#9aa7af}.interval{stroke:#2f6f5e;stroke-width:1}.page{fill:#fff}"
)
TICKS = 5

Place = Callable[[float], float]


def front_svg(report: Report) -> str:
    """Return the picture of a front: each network a point with its interval, the model marked, those dropped hollow.

    Rightwards the measured latency over the original's, upwards the held-out feature error.
    """
    most_error = max(one.recovery.error_final for one in report.candidates) * 1.08 or 1.0
    least_ratio = min(one.latency.ratio.low for one in report.candidates) - 0.03
    x = _scale(least_ratio, 1.0, LEFT, WIDTH - RIGHT)
    y = _scale(0.0, most_error, HEIGHT - BOTTOM, TOP)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img">',
        f"<title>{escape(report.summary)}</title><style>{STYLE}</style>",
        f'<rect class="page" width="{WIDTH}" height="{HEIGHT}"/>',
        *_axes(x, y, least_ratio, most_error),
        *_dropped(report, x, y, least_ratio, most_error),
        _line(report.candidates, x, y),
        *(_point(one, x, y) for one in report.candidates),
        "</svg>\n",
    ]
    return "\n".join(parts)


def _scale(low: float, high: float, start: float, end: float) -> Place:
    return lambda value: start + (value - low) / (high - low) * (end - start)


def _axes(x: Place, y: Place, least_ratio: float, most_error: float) -> list[str]:
    marks = []
    for step in range(TICKS + 1):
        ratio = least_ratio + (1 - least_ratio) * step / TICKS
        error = most_error * step / TICKS
        marks += [
            f'<line class="grid" x1="{x(ratio):.1f}" x2="{x(ratio):.1f}" y1="{TOP}" y2="{HEIGHT - BOTTOM}"/>',
            f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y(error):.1f}" y2="{y(error):.1f}"/>',
            _text(x(ratio), HEIGHT - BOTTOM + 18, f"{ratio:.2f}", "small", "middle"),
            _text(LEFT - 8, y(error) + 4, f"{error:.3g}", "small", "end"),
        ]
    return [
        *marks,
        f'<line class="axis" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{HEIGHT - BOTTOM}" y2="{HEIGHT - BOTTOM}"/>',
        f'<line class="axis" x1="{LEFT}" x2="{LEFT}" y1="{TOP}" y2="{HEIGHT - BOTTOM}"/>',
        _text(
            (LEFT + WIDTH - RIGHT) / 2,
            HEIGHT - 22,
            "latency over the original's, measured, 95 % interval",
            "",
            "middle",
        ),
        _text(LEFT - 56, TOP - 30, "feature error on held-out images; the original has none", "", "start"),
    ]


def _dropped(report: Report, x: Place, y: Place, least_ratio: float, most_error: float) -> list[str]:
    return [
        f'<circle class="dropped" cx="{x(one.latency_ratio.value):.1f}" cy="{y(one.error):.1f}" r="4">'
        f"<title>dropped: {escape(one.reason)}</title></circle>"
        for one in report.dropped
        if least_ratio <= one.latency_ratio.value <= 1 and one.error <= most_error
    ]


def _line(candidates: Sequence[CandidateReport], x: Place, y: Place) -> str:
    places = [(1.0, 0.0), *((one.latency.ratio.value, one.recovery.error_final) for one in candidates)]
    drawn = " ".join(f"{x(ratio):.1f},{y(error):.1f}" for ratio, error in places)
    return f'<polyline class="front" points="{drawn}"/>'


def _point(one: CandidateReport, x: Place, y: Place) -> str:
    ratio, error = one.latency.ratio, one.recovery.error_final
    at_x, at_y = x(ratio.value), y(error)
    said = f"{one.file}: {ratio.value:.3f} of the latency ({ratio.low:.3f} to {ratio.high:.3f}), error {error:.3g}"
    return (
        f"<g><title>{escape(said)}</title>"
        f'<line class="interval" x1="{x(ratio.low):.1f}" x2="{x(ratio.high):.1f}" y1="{at_y:.1f}" y2="{at_y:.1f}"/>'
        f'<circle class="{"model" if one.is_model else "point"}" cx="{at_x:.1f}" cy="{at_y:.1f}" r="5"/>'
        + _text(at_x, at_y - 10, _name(one), "small", "middle")
        + "</g>"
    )


def _name(one: CandidateReport) -> str:
    number = one.file.rpartition("/")[2].removesuffix(".onnx")
    return f"{number}, the model" if one.is_model else number


def _text(x: float, y: float, text: str, css_class: str, anchor: str) -> str:
    return f'<text class="{css_class}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'
