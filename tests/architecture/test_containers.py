"""Docker is not needed to test; what the container files name must exist all the same."""

from __future__ import annotations

import importlib.util
import re
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from core.settings import Settings

ROOT = Path(__file__).parents[2]
OURS = ("api", "worker", "migrations")
THEIRS = ("postgres", "valkey", "s3", "bucket")


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
    return found


@pytest.fixture(scope="module")
def dockerfile() -> str:
    return (ROOT / "Dockerfile").read_text()


def test_the_scale_out_service_is_all_there(compose: dict[str, Any]) -> None:
    assert set(compose["services"]) == {*OURS, *THEIRS}


@pytest.mark.parametrize(
    "file", ["docker-compose.yml", "Dockerfile", "README.md", "docs/gpu.md", "docs/architecture.md"]
)
def test_every_variable_of_ours_is_a_setting(file: str) -> None:
    clients = {"SECATEUR_KEY", "SECATEUR_SERVER"}
    named = set(re.findall(r"SECATEUR_[A-Z0-9_]*[A-Z0-9]", (ROOT / file).read_text())) - clients

    assert {name.removeprefix("SECATEUR_").lower() for name in named} <= set(Settings.model_fields)


def test_the_settings_of_the_containers_are_valid(compose: dict[str, Any]) -> None:
    """With every secret filled in, the environment of each container makes settings of the scale-out kind."""
    for name in OURS:
        environment = compose["services"][name]["environment"]
        values = {
            key.removeprefix("SECATEUR_").lower(): re.sub(r"\$\{[^}]*\}", "filled-in", value)
            for key, value in environment.items()
        }

        settings = Settings.model_validate(values)

        assert settings.broker_url is not None
        assert settings.storage_url is not None
        assert settings.database_url is not None


def test_no_secret_has_a_default(compose: dict[str, Any]) -> None:
    for name, service in compose["services"].items():
        for variable, value in service.get("environment", {}).items():
            if re.search(r"PASSWORD|SECRET|PEPPER|ADMIN_KEY|ACCESS_KEY", variable):
                assert re.fullmatch(r"\$\{[A-Z0-9_]+:\?[^}]+\}", value), f"{name}: {variable}"


def test_every_command_exists(compose: dict[str, Any]) -> None:
    for name in OURS:
        command = compose["services"][name]["command"]
        if command[:2] == ["python", "-m"]:
            module = importlib.util.find_spec(command[2])
            assert module, command
            if module.submodule_search_locations is not None:
                assert importlib.util.find_spec(f"{command[2]}.__main__"), command
        else:
            assert Path(sys.executable).with_name(command[0]).exists(), command
        if command[0] == "celery":
            assert importlib.util.find_spec(command[command.index("-A") + 1]), command


def test_what_keeps_running_says_whether_it_is_well(compose: dict[str, Any], dockerfile: str) -> None:
    assert "HEALTHCHECK" in dockerfile.partition("AS api")[2].partition("FROM")[0]
    for name in ("worker", "postgres", "valkey", "s3"):
        assert "healthcheck" in compose["services"][name], name


def test_the_images_are_built_from_what_is_there(compose: dict[str, Any], dockerfile: str) -> None:
    targets = set(re.findall(r"^FROM \S+ AS (\w+)", dockerfile, re.MULTILINE))
    copied = [source for line in re.findall(r"^COPY (.+) \S+$", dockerfile, re.MULTILINE) for source in line.split()]

    assert {compose["services"][name]["build"]["target"] for name in OURS} <= targets
    assert copied
    assert [source for source in copied if not (ROOT / source).exists()] == []


def test_the_api_image_has_no_engine(dockerfile: str) -> None:
    assert "[engine]" not in dockerfile.partition("AS api")[2].partition("FROM")[0]
