"""A recipe says what it means or is refused with the key that was probably meant."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from engine.commands.recipe_file import read_recipe
from engine.errors import RecipeInvalid
from engine.recipe import METHODS, TARGETS, LatencyRatio, Recipe, in_document
from engine.recipe.strict import refuse_unknown_keys

EXAMPLE = {
    "target": {"latency_ratio": 0.7},
    "method": {"name": "practise"},
    "preprocess": {
        "resize": 256,
        "crop": 224,
        "scale": 0.00392156862745098,
        "mean": [0.485, 0.456, 0.406],
        "std": [0.229, 0.224, 0.225],
        "channel_order": "RGB",
        "layout": "NCHW",
    },
    "deploy": {"provider": "cpu", "threads": 1, "batch": 8},
    "budget_seconds": 600,
    "seed": 0,
}


def test_every_key_has_a_default() -> None:
    recipe = Recipe.model_validate({})

    assert recipe.target == LatencyRatio(latency_ratio=0.7)
    assert recipe.method.name == "auto"


def test_a_recipe_survives_the_trip_through_json() -> None:
    recipe = Recipe.model_validate(EXAMPLE)

    assert Recipe.model_validate_json(recipe.model_dump_json()) == recipe


@pytest.mark.parametrize(
    ("asked", "meant"),
    [
        (["fp32"], ("fp32",)),
        (["int8"], ("fp32", "int8")),
        (["int8", "fp16", "int8"], ("fp32", "fp16", "int8")),
        (["fp16", "fp32"], ("fp32", "fp16")),
    ],
)
def test_the_network_itself_is_always_among_the_files(asked: list[str], meant: tuple[str, ...]) -> None:
    assert Recipe.model_validate({"outputs": asked}).outputs == meant
    assert Recipe().outputs == ("fp32",)


@pytest.mark.parametrize(
    ("wrong", "where", "said"),
    [
        ({"target": 0.7}, "target", "A target is an object such as"),
        ({"method": "auto"}, "method", 'A method is an object such as {"name": "auto"}.'),
        ({"target": {"latncy_ratio": 0.7}}, "target", "did you mean 'latency_ratio'?"),
        ({"budget": 60}, "", "did you mean 'budget_seconds'?"),
        ({"deploy": {"batchsize": 8}}, "deploy", "did you mean 'batch'?"),
        ({"method": {"name": "practise", "kept": []}}, "method", "did you mean 'keep'?"),
        ({"zzz": 1}, "", "known keys: target, method"),
        ({"target": {}}, "target", "exactly one of latency_ratio"),
        ({"target": {"latency_ratio": 0.7, "units": 3}}, "target", "found latency_ratio, units"),
        ({"target": {"latency_ratio": 1.5}}, "target.latency_ratio", "less than 1"),
        ({"target": {"pareto": 1}}, "target.pareto", "greater than or equal to 2"),
        ({"target": {"pareto": 17}}, "target.pareto", "less than or equal to 16"),
        ({"target": {"units": 0}}, "target.units", "greater than or equal to 1"),
        ({"outputs": []}, "outputs", "at least 1 item"),
        ({"outputs": ["int4"]}, "outputs.0", "'fp32', 'fp16' or 'int8'"),
        ({"preprocess": {"std": [0.0]}}, "preprocess.std", "greater than 0"),
        (
            {"architecture": {"name": "torchvision/alexnet", "options": {"num_classes": 1 << 21}}},
            "architecture",
            "0 to 1048576; found 2097152",
        ),
        (
            {"architecture": {"name": "torchvision/alexnet", "options": {"num_classes": -1}}},
            "architecture",
            "0 to 1048576; found -1",
        ),
        (
            {"architecture": {"name": "torchvision/alexnet", "input_shape": [16384, 16384, 16384]}},
            "architecture",
            "at most 67108864",
        ),
        (
            {"architecture": {"name": "torchvision/alexnet", "input_shape": [None, 64, 64]}},
            "architecture",
            "valid integer",
        ),
        ({"architecture": {"name": "torchvision/alexnet", "input_shape": [3, 64]}}, "architecture", "required"),
        ({"deploy": {"provider": "tpu"}}, "deploy.provider", "'cpu' or 'cuda'"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, wrong: dict[str, Any], where: str, said: str) -> None:
    path = tmp_path / "recipe.json"
    path.write_text(json.dumps(wrong))

    with pytest.raises(RecipeInvalid) as refused:
        read_recipe(path)

    assert said in refused.value.message
    assert (refused.value.where or "").startswith(where)


@pytest.mark.parametrize("value", [True, 0, 85_742, 0.5, 2.0, "avg"])
def test_an_option_keeps_its_kind(value: object) -> None:
    given = {"architecture": {"name": "torchvision/alexnet", "options": {"num_classes": value}}}

    found = Recipe.model_validate_json(json.dumps(given)).architecture

    assert found is not None
    assert (type(found.options["num_classes"]), found.options["num_classes"]) == (type(value), value)


def test_wrong_keys_beside_one_another_are_told_at_once(tmp_path: Path) -> None:
    path = tmp_path / "recipe.json"
    path.write_text(json.dumps({"deploy": {"thread": 1, "bach": 8}, "target": {"ratio": 0.7, "pace": 1}, "seed": "x"}))

    with pytest.raises(RecipeInvalid) as refused:
        read_recipe(path)

    said = refused.value.message
    assert refused.value.where == "target.ratio"
    for where in ("target.ratio: ", "target.pace: ", "deploy.thread: ", "deploy.bach: ", "seed: "):
        assert where in said
    assert "did you mean 'batch'?" in said


def test_of_very_many_wrong_keys_the_first_are_told(tmp_path: Path) -> None:
    path = tmp_path / "recipe.json"
    path.write_text(json.dumps({f"key{number}": 1 for number in range(9)}))

    with pytest.raises(RecipeInvalid, match=r"key4.* More keys are wrong") as refused:
        read_recipe(path)

    assert "key5" not in refused.value.message


def test_a_flood_of_unknown_keys_is_looked_at_no_further_than_told() -> None:
    keys = _Counted(f"key{number}" for number in range(90_000))

    with pytest.raises(ValidationError) as refused:
        refuse_unknown_keys(keys, ["target"])

    assert refused.value.error_count() == 20
    assert keys.seen == 20


class _Counted(list[str]):
    seen = 0

    def __iter__(self) -> Iterator[str]:
        for key in super().__iter__():
            self.seen += 1
            yield key


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe", b"[]", b'"text"'])
def test_a_file_that_is_no_recipe_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "recipe.json"
    path.write_bytes(content)

    with pytest.raises(RecipeInvalid):
        read_recipe(path)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RecipeInvalid, match="cannot be read"):
        read_recipe(tmp_path / "none.json")


@given(key=st.text(max_size=20), value=st.one_of(st.none(), st.integers(), st.text(max_size=5)))
def test_no_unknown_key_is_ever_taken(key: str, value: Any) -> None:
    known = set(Recipe.model_fields)
    if key not in known:
        with pytest.raises(ValidationError):
            Recipe.model_validate({key: value})


def test_the_tables_name_what_the_schema_takes() -> None:
    schema = json.dumps(Recipe.model_json_schema())

    assert all(name in schema for name in [*TARGETS, *METHODS])


@pytest.mark.parametrize(
    ("path", "there"),
    [
        (["target", "latency_ratio", "latency_ratio"], "target.latency_ratio"),
        (["target", "latency_ratio"], "target.latency_ratio"),
        (["method", "sss", "steps"], "method.steps"),
        (["recipe", "method", "auto", "keep", 0], "recipe.method.keep.0"),
        (["deploy", "batch"], "deploy.batch"),
        ([], ""),
    ],
)
def test_a_path_is_told_as_it_stands_in_the_recipe(path: list[str | int], there: str) -> None:
    assert ".".join(in_document(path)) == there
