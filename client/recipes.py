"""Turns the command's options into the service's recipe. Knows its keys; the server judges their values."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from client.errors import UsageError

TARGET_KEYS = ("latency_ratio", "latency_ms", "macs_ratio", "parameters_ratio", "units", "pareto")
PREPROCESS_KEYS = ("resize", "crop", "mean", "std")
DEPLOY_KEYS = ("batch", "threads", "provider")
TOP_KEYS = ("outputs", "synthesis", "budget_seconds", "seed")
LISTS = ("mean", "std")


def recipe_of(path: Path | None, options: Mapping[str, Any]) -> dict[str, Any]:
    """Lay the command's options over a recipe file; those that are no keys of a recipe are left alone."""
    read = dict(options) | {key: numbers(options[key], f"--{key}") for key in LISTS}
    read["outputs"] = words(options["outputs"])
    return build_recipe(
        read_recipe(path),
        target={key: read[key] for key in (*TARGET_KEYS, "min_agreement")},
        preprocess={key: read[key] for key in PREPROCESS_KEYS},
        deploy={key: read[key] for key in DEPLOY_KEYS},
        architecture={"name": read["architecture"]},
        top={key: read[key] for key in TOP_KEYS},
    )


def build_recipe(
    base: Mapping[str, Any],
    *,
    target: Mapping[str, float | None],
    preprocess: Mapping[str, Any],
    deploy: Mapping[str, Any],
    architecture: Mapping[str, Any],
    top: Mapping[str, Any],
) -> dict[str, Any]:
    """Lay the options that were given over the recipe file; None means 'not given'. At most one target."""
    recipe = dict(base) | _given(top)
    for name, options in (("preprocess", preprocess), ("deploy", deploy), ("architecture", architecture)):
        if given := _given(options):
            recipe[name] = dict(recipe.get(name) or {}) | given
    if chosen := _target(target):
        kept = {key: value for key, value in dict(recipe.get("target") or {}).items() if key not in TARGET_KEYS}
        if "min_agreement" in chosen and len(chosen) == 1:
            kept = dict(recipe.get("target") or {"latency_ratio": 0.7})
        recipe["target"] = kept | chosen
    return recipe


def _given(options: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in options.items() if value is not None}


def _target(options: Mapping[str, float | None]) -> dict[str, Any]:
    given = _given(options)
    kinds = [key for key in TARGET_KEYS if key in given]
    if len(kinds) > 1:
        names = ", ".join("--" + key.replace("_", "-") for key in kinds)
        raise UsageError(f"A job has one target, and {len(kinds)} were given: {names}.", what_to_do="Keep one of them.")
    return given


def read_recipe(path: Path | None) -> dict[str, Any]:
    """Read a recipe file; without one, every key has the service's default."""
    if path is None:
        return {}
    try:
        recipe = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"The recipe cannot be read: {error.strerror}.", where=str(path)) from error
    except ValueError as error:
        raise UsageError(f"The recipe is not JSON: {error}.", where=str(path)) from error
    if not isinstance(recipe, dict):
        raise UsageError("The recipe is not a JSON object.", where=str(path))
    return recipe


def words(text: str | None) -> list[str] | None:
    """Read `fp16,int8`."""
    return None if text is None else [word.strip() for word in text.split(",")]


def numbers(text: str | None, option: str) -> list[float] | None:
    """Read `0.485,0.456,0.406`: one number a channel, or one for all."""
    if text is None:
        return None
    try:
        return [float(part) for part in text.split(",")]
    except ValueError as error:
        raise UsageError(
            f"'{text}' is not a list of numbers.", where=option, what_to_do="Write it as 0.485,0.456,0.406."
        ) from error
