"""Options become a recipe; what was not given is left to the service."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from client import UsageError
from client.recipes import build_recipe, numbers, read_recipe


def build(base: dict[str, Any] | None = None, **parts: Any) -> dict[str, Any]:
    empty: dict[str, Any] = {"target": {}, "preprocess": {}, "deploy": {}, "architecture": {}, "top": {}}
    return build_recipe(base or {}, **(empty | parts))


def test_without_options_the_service_decides_everything() -> None:
    assert build(target={"latency_ratio": None}, deploy={"batch": None}) == {}


def test_options_go_over_the_recipe_file_and_leave_the_rest_of_it() -> None:
    base = {"target": {"units": 3, "min_agreement": 0.9}, "deploy": {"batch": 8, "threads": 2}, "seed": 5}

    recipe = build(base, target={"latency_ratio": 0.7}, deploy={"batch": 1}, top={"seed": None})

    assert recipe == {
        "target": {"latency_ratio": 0.7, "min_agreement": 0.9},
        "deploy": {"batch": 1, "threads": 2},
        "seed": 5,
    }


def test_an_architecture_keeps_the_options_of_the_file() -> None:
    base = {"architecture": {"name": "torchvision/resnet18", "options": {"num_classes": 10}}}

    recipe = build(base, architecture={"name": "torchvision/resnet34"})

    assert recipe == {"architecture": {"name": "torchvision/resnet34", "options": {"num_classes": 10}}}


def test_a_floor_alone_keeps_the_target_of_the_file() -> None:
    recipe = build({"target": {"units": 3}}, target={"min_agreement": 0.9})

    assert recipe == {"target": {"units": 3, "min_agreement": 0.9}}


def test_a_floor_without_a_target_goes_with_the_service_s_default() -> None:
    assert build(target={"min_agreement": 0.9}) == {"target": {"latency_ratio": 0.7, "min_agreement": 0.9}}


def test_two_targets_are_a_usage_error_that_names_both() -> None:
    with pytest.raises(UsageError, match="--latency-ratio, --units"):
        build(target={"latency_ratio": 0.7, "units": 3})


def test_numbers_are_one_a_channel() -> None:
    assert numbers("0.485,0.456, 0.406", "--mean") == [0.485, 0.456, 0.406]
    with pytest.raises(UsageError, match="'a,b'"):
        numbers("a,b", "--mean")


@pytest.mark.parametrize("text", ["{", "[1]"])
def test_a_recipe_that_is_no_object_is_a_usage_error(tmp_path: Path, text: str) -> None:
    (tmp_path / "recipe.json").write_text(text)

    with pytest.raises(UsageError, match="JSON"):
        read_recipe(tmp_path / "recipe.json")


def test_a_recipe_is_read(tmp_path: Path) -> None:
    (tmp_path / "recipe.json").write_text(json.dumps({"seed": 1}))

    assert read_recipe(tmp_path / "recipe.json") == {"seed": 1}
    assert read_recipe(None) == {}
