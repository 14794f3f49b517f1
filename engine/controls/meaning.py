"""What a control's figures mean, in plain sentences."""

from __future__ import annotations

from engine.report import ControlReport, Interval

FEW_IMAGES = 5_000
"""With fewer nobody trains a network from nothing; the paper had 50,000 and 1.2 million."""

KINDS = {"scratch_e": "as many epochs as asked for", "scratch_b": "as much work as those epochs cost the original"}


def meaning(report: ControlReport) -> str:
    """Say what was trained and how well it does, which of the two is better, and how far that can be generalised."""
    return " ".join((_what_was_done(report), _who_is_better(report), _how_general(report)))


def _what_was_done(report: ControlReport) -> str:
    assert report.accuracy is not None
    assert report.inherited_accuracy is not None
    inherited = _share(report.inherited_accuracy)
    cut_short = f" of {report.epochs_planned}, all that the time allowed" if report.stopped_by == "budget" else ""
    return (
        f"The same architecture, trained from random weights on {report.images} labelled images for "
        f"{report.epochs:g} epochs{cut_short} ({KINDS[report.name]}), is right on {_share(report.accuracy)} of "
        f"{report.test_images} unseen images; with the weights that it inherited, on {inherited}."
    )


def _who_is_better(report: ControlReport) -> str:
    found = report.difference
    assert found is not None
    points = f"{100 * abs(found.value):.0f} points ({100 * found.low:+.0f} to {100 * found.high:+.0f})"
    if found.low > 0:
        return f"Here the inherited weights are worth {points}."
    if found.high < 0:
        return f"Here they are worth less than nothing, {points}: train this architecture anew with these labels."
    return "So few images cannot tell which is better."


def _how_general(report: ControlReport) -> str:
    found = "Liu et al. (2019) found with full training sets that the architecture matters more than the weights."
    if report.images < FEW_IMAGES:
        return f"It says nothing about training with more: from {report.images} images nobody learns a network. {found}"
    return found


def _share(interval: Interval) -> str:
    return f"{100 * interval.value:.0f} % ({100 * interval.low:.0f} to {100 * interval.high:.0f})"
