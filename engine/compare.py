"""Two networks side by side, for anyone who wants to check us: latency in turn, cost, and agreement on images."""

from __future__ import annotations

from pathlib import Path

from engine.data.calibration import load_images
from engine.formats import load
from engine.input_form import check_fits, input_form
from engine.measure.cost import cost
from engine.measure.environment import describe
from engine.measure.fidelity import compare_fidelity
from engine.measure.latency import compare_latency
from engine.recipe import Architecture, Deploy, Preprocess, Strict
from engine.report import Cost, Environment, Fidelity, LatencyComparison


class Comparison(Strict):
    """Network A is the original, B the delivered one; `fidelity` is None where no image was given."""

    latency: LatencyComparison
    original: Cost
    delivered: Cost
    fidelity: Fidelity | None
    environment: Environment
    notes: tuple[str, ...]


def compare(
    path_a: Path,
    path_b: Path,
    images_path: Path | None,
    preprocess: Preprocess,
    deploy: Deploy,
    seed: int,
    budget_seconds: float = 60,
    architecture: Architecture | None = None,
) -> Comparison:
    """Time both networks in turn for at most `budget_seconds`, then run both on every image."""
    a, b = load(path_a, architecture), load(path_b, architecture)
    images = load_images(images_path, a.inputs[0], preprocess, seed=seed)
    for name, model in ((path_a.name, a), (path_b.name, b)):
        check_fits(images.inputs.shape[1:], input_form(model.inputs[0], preprocess), f"for {name}")
    # The two files may call their inputs differently.
    shapes = {model.inputs[0].name: images.inputs.shape[1:] for model in (a, b)}
    return Comparison(
        latency=compare_latency(a, b, deploy, shapes, seed=seed, budget_seconds=budget_seconds, until_width=0.01),
        original=cost(a, shapes),
        delivered=cost(b, shapes),
        fidelity=compare_fidelity(a, b, images, deploy) if len(images) else None,
        environment=describe(deploy),
        notes=images.notes,
    )
