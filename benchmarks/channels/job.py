"""Our own job of a case: its recipe, the command line as a user would run it, and what the report says of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from benchmarks.channels.cases import Case
from benchmarks.trained.child import Ended, run_module
from benchmarks.trained.memory import Row
from engine.recipe import METHODS, Recipe

PROGRAMS = {
    "onnxsim": ("benchmarks.peers.onnxsim_pruning",),
    "torch-pruning-l1": ("benchmarks.peers.torch_pruning", "--importance", "l1"),
    "torch-pruning-group": ("benchmarks.peers.torch_pruning", "--importance", "group"),
}
"""Peer -> the module that asks it, and with what."""

CONTROLS = ("scratch_e", "scratch_b")


def recipe_of(case: Case, preprocess: dict[str, Any], latency_ratio: float | None = None) -> Recipe:
    """Return the recipe of a case; a peer's asks for what our own network measured in place of the case's ratio."""
    ours = case.what in METHODS
    return Recipe.model_validate(
        {
            "target": {"latency_ratio": latency_ratio or case.latency_ratio},
            "method": {"name": case.what if ours else "auto"},
            "preprocess": preprocess,
            "deploy": {"batch": case.batch, "threads": case.threads},
            "budget_seconds": case.budget_seconds,
            "controls": CONTROLS if case.kind == "scratch" else (),
            "seed": case.seed,
        }
    )


def file_for(case: Case, network: Path) -> Path:
    """Return the upload: of a method that ranks by batch norms, NAME-bn.onnx where one lies beside the network."""
    with_norms = network.with_name(f"{network.stem}-bn.onnx")
    needs = case.what in METHODS and METHODS[case.what].needs_norms
    return with_norms if needs and with_norms.exists() else network


def compress(network: Path, calibration: Path | None, recipe: Recipe, work: Path) -> Ended:
    """Run a job into the folder `work`, with its checkpoint beside what it delivers."""
    (work / "recipe.json").write_text(recipe.model_dump_json())
    arguments = [str(network), "--recipe", str(work / "recipe.json"), "--out", str(work)]
    arguments += ["--checkpoint", str(work / "checkpoint")]
    arguments += ["--calibration", str(calibration)] if calibration is not None else []
    return run_module("engine", ["compress", *arguments])


def account(work: Path) -> Row:
    """Return what the job says of itself."""
    report = json.loads((work / "report.json").read_text())
    table = report["latency_table"]
    return {
        "outcome": report["outcome"],
        "reported_ratio": round(report["latency"]["ratio"]["value"], 4),
        "predicted_ratio": report["predicted_latency_ratio"],
        "width_multiple": None if table is None else table["width_multiple"],
        "macs_ratio": round(report["delivered"]["macs"] / max(report["original"]["macs"], 1), 4),
        "parameters_ratio": round(report["delivered"]["parameters"] / max(report["original"]["parameters"], 1), 4),
        "recovery": report["recovery"],
        "data": report["data"],
        "zeros": report["zeros"],
        "controls": report["controls"],
        "warnings": report["warnings"],
        "stages": {stage["name"]: stage["seconds"] for stage in report["stages"]},
    }


def ended_row(ended: Ended) -> Row:
    """Return what is known of every program that ran; of the engine's own refusals, the message."""
    return {
        "job_seconds": ended.seconds,
        "cpu_seconds": ended.cpu_seconds,
        "peak_bytes": ended.peak_bytes,
        "error": None if ended.error is None else _message(ended.error),
    }


def _message(said: str) -> str:
    try:
        return str(json.loads(said)["error"]["message"])
    except (ValueError, KeyError, TypeError):
        return said
