"""Docker is not needed to test; what the container files name must exist all the same."""

from __future__ import annotations

import importlib.util
import json
import re
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import yaml

from app.drain import longest_end_seconds
from app.errors import MEDIA_TYPE, as_problem
from app.jobs.endpoints import LONGEST_WAIT_SECONDS
from app.jobs.events import PING_SECONDS
from app.main import create_app
from core.queue import DEVICES, celery_app
from core.settings import Settings
from tests.app.running import running_service

ROOT = Path(__file__).parents[2]
WORKERS = ("worker", "worker-gpu")
OURS = ("api", *WORKERS, "sender", "migrations")
THEIRS = ("front", "postgres", "valkey", "s3", "bucket")
OBSERVERS = ("prometheus", "grafana", "jaeger")


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
    return found


@pytest.fixture(scope="module")
def dockerfile() -> str:
    return (ROOT / "Dockerfile").read_text()


@pytest.fixture(scope="module")
def front() -> str:
    return (ROOT / "deploy/haproxy.cfg").read_text()


def test_the_scale_out_service_is_all_there(compose: dict[str, Any]) -> None:
    assert set(compose["services"]) == {*OURS, *THEIRS, *OBSERVERS}


def test_who_observes_is_there_only_when_asked_for_and_only_for_this_machine(compose: dict[str, Any]) -> None:
    for name in OBSERVERS:
        service = compose["services"][name]
        assert service["profiles"] == ["observability"]
        assert all(port.startswith("127.0.0.1:") for port in service["ports"])
        mounted = [volume.partition(":")[0] for volume in service.get("volumes", []) if volume.startswith("./")]
        assert [path for path in mounted if not (ROOT / path).exists()] == []


@pytest.mark.parametrize(
    "file",
    [
        "docker-compose.yml",
        "Dockerfile",
        "deploy/haproxy.cfg",
        "README.md",
        *sorted(str(path.relative_to(ROOT)) for path in (ROOT / "docs").glob("*.md")),
    ],
)
def test_every_variable_of_ours_is_a_setting(file: str) -> None:
    clients = {"SECATEUR_KEY", "SECATEUR_SERVER"}
    named = set(re.findall(r"SECATEUR_[A-Z0-9_]*[A-Z0-9]", (ROOT / file).read_text())) - clients

    assert {name.removeprefix("SECATEUR_").lower() for name in named} <= set(Settings.model_fields)


def test_the_settings_of_the_containers_are_valid(compose: dict[str, Any]) -> None:
    """With every secret filled in, the environment of each container makes settings of the scale-out kind."""
    for name in OURS:
        settings = settings_of(compose, name)

        assert settings.broker_url is not None
        assert settings.storage_url is not None
        assert settings.database_url is not None


def settings_of(compose: dict[str, Any], name: str) -> Settings:
    """Return the settings that a container's processes have, with a stand-in for each secret."""
    environment = compose["services"][name]["environment"]
    values = {
        key.removeprefix("SECATEUR_").lower(): re.sub(r"\$\{[^}]*\}", "filled-in", value)
        for key, value in environment.items()
        if key.startswith("SECATEUR_")
    }
    return Settings.model_validate(values)


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


def test_what_others_wait_for_says_whether_it_is_well(compose: dict[str, Any]) -> None:
    services = compose["services"]
    waited_for = {
        name
        for service in services.values()
        for name, wish in service.get("depends_on", {}).items()
        if wish["condition"] == "service_healthy"
    }

    assert waited_for
    in_the_image = {name for name in OURS if services[name]["build"]["target"] == "api"}
    assert [name for name in waited_for - in_the_image if "healthcheck" not in services[name]] == []


def test_the_api_is_well_without_a_worker_and_unwell_when_it_is_gone(
    dockerfile: str, sqlite_settings: Settings
) -> None:
    found = re.search(r"HEALTHCHECK.*?CMD (\[.*?\])\n", dockerfile, re.DOTALL)
    assert found is not None
    check = json.loads(found[1])

    with running_service(sqlite_settings) as service:
        port = service.port
        while_it_runs = run_check(check, 8080, port)

    assert while_it_runs == 0
    assert run_check(check, 8080, port) != 0


def test_the_store_is_well_while_it_listens(compose: dict[str, Any]) -> None:
    kind, *check = compose["services"]["s3"]["healthcheck"]["test"]

    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        while_it_listens = run_check(check, 9000, port)

    assert kind == "CMD"
    assert while_it_listens == 0
    assert run_check(check, 9000, port) != 0


def run_check(command: list[str], its_port: int, our_port: int) -> int:
    """Run a container's check here, against another port; return its exit status."""
    assert command[:2] == ["python", "-c"]
    assert str(its_port) in command[2]
    ours = [sys.executable, "-c", command[2].replace(str(its_port), str(our_port))]
    return subprocess.run(ours, check=False, capture_output=True).returncode


@pytest.mark.parametrize("name", WORKERS)
def test_the_worker_can_and_must_use_its_sandbox(compose: dict[str, Any], name: str) -> None:
    """bubblewrap needs namespaces and a /proc of its own, and no way to more rights than the worker has."""
    worker = compose["services"][name]

    assert worker["environment"]["SECATEUR_SANDBOX"] == "bubblewrap"
    assert set(worker["security_opt"]) == {
        "seccomp=unconfined",
        "apparmor=unconfined",
        "systempaths=unconfined",
        "no-new-privileges:true",
    }
    assert worker["cap_drop"] == ["ALL"]


def test_each_device_has_a_queue_and_each_queue_workers(compose: dict[str, Any]) -> None:
    commands = [compose["services"][name]["command"] for name in WORKERS]
    consumed = [command[command.index("-Q") + 1] for command in commands]

    assert sorted(consumed) == sorted(DEVICES)
    assert {queue.name for queue in celery_app(Settings()).conf.task_queues} == set(DEVICES)


def test_whoever_is_stopped_has_time_to_end(compose: dict[str, Any]) -> None:
    """A container is killed when its grace is over: by then its process must have drained."""
    api, worker, sender = (settings_of(compose, name) for name in ("api", "worker", "sender"))
    needed_seconds = {
        "api": longest_end_seconds(api),
        "worker": worker.worker_drain_seconds + worker.stop_grace_seconds,
        "worker-gpu": worker.worker_drain_seconds + worker.stop_grace_seconds,
        "sender": sender.webhook_timeout_seconds,
    }

    graces = {name: compose["services"][name]["stop_grace_period"] for name in needed_seconds}

    assert all(re.fullmatch(r"\d+s", grace) for grace in graces.values())
    assert [name for name, grace in graces.items() if int(grace[:-1]) < needed_seconds[name] + 10] == []


def test_there_can_be_any_number_of_whoever_works(compose: dict[str, Any], front: str) -> None:
    """No container of ours has a port of the machine, or a name, to itself; the front knows as many as there are."""
    services = compose["services"]
    replicas = {name: services[name].get("deploy", {}).get("replicas", 1) for name in OURS}

    assert (replicas["api"], replicas["worker"]) == (2, 2)
    assert [name for name in OURS if services[name].keys() & {"ports", "container_name"}] == []
    assert {name for name, service in services.items() if "ports" in service} == {"front", *OBSERVERS}
    found = re.search(r"server-template api (\d+) api:(\d+) ", front)
    assert found is not None
    assert int(found[1]) >= replicas["api"]
    assert found[2] == services["api"]["environment"]["SECATEUR_PORT"]


def test_the_front_looks_away_before_an_api_has_drained(compose: dict[str, Any], front: str) -> None:
    check = re.search(r"default-server check inter (\d+)s fall (\d+) ", front)
    patience = re.search(r"timeout server (\d+)s", front)
    assert check is not None
    assert patience is not None

    unnoticed_seconds = (int(check[1]) + 1) * int(check[2])

    assert unnoticed_seconds < settings_of(compose, "api").web_drain_seconds
    assert int(patience[1]) > max(LONGEST_WAIT_SECONDS, PING_SECONDS) + 10


def test_what_an_api_believes_of_a_client_the_front_says_and_nobody_else(compose: dict[str, Any], front: str) -> None:
    """uvicorn believes two headers of whoever it trusts; one that the front only passed on would be the client's."""
    assert compose["services"]["api"]["environment"]["FORWARDED_ALLOW_IPS"] == "*"

    said = re.findall(r"^ +http-request set-header (\S+) ", front, re.MULTILINE)

    assert said == ["X-Forwarded-For", "X-Forwarded-Proto"]


def test_while_no_api_is_ready_the_front_says_so_as_an_api_would(front: str) -> None:
    said = re.findall(
        r"http-error status (\d+) content-type (\S+) hdr Retry-After 5 string '(.+)'$", front, re.MULTILINE
    )

    ((status, media_type, text),) = said
    body = json.loads(text)

    assert body == as_problem("not-ready", body["detail"])
    assert (int(status), media_type) == (body["status"], MEDIA_TYPE)


def test_what_a_check_asks_is_a_path_of_ours(dockerfile: str, front: str, sqlite_settings: Settings) -> None:
    paths = create_app(sqlite_settings).openapi()["paths"]
    asked = re.search(r"http-check send meth GET uri (\S+)", front)
    assert asked is not None
    wanted = urlsplit(asked[1])

    (excluded,) = paths[wanted.path]["get"]["parameters"]

    assert list(parse_qs(wanted.query)) == [excluded["name"]]
    assert parse_qs(wanted.query)[excluded["name"]][0] in str(excluded["schema"])
    assert {urlsplit(url).path for url in re.findall(r"http://127\.0\.0\.1:8080/[a-z]+", dockerfile)} <= set(paths)


def test_what_the_containers_refer_to_is_there(compose: dict[str, Any]) -> None:
    """Volumes, files of ours and the services that others wait for."""
    services, mounts = (
        compose["services"],
        [mount.split(":")[0] for service in compose["services"].values() for mount in service.get("volumes", [])],
    )

    awaited = {name for service in services.values() for name in service.get("depends_on", {})}

    assert awaited <= set(services)
    assert {mount for mount in mounts if not mount.startswith(".")} == set(compose["volumes"])
    assert [mount for mount in mounts if mount.startswith(".") and not (ROOT / mount).is_file()] == []


def test_the_images_hold_the_versions_of_the_lock(dockerfile: str) -> None:
    installs = re.findall(r"pip install (?:-e|'onnxruntime).*", dockerfile)

    assert len(installs) == 3
    assert [line for line in installs if " -c " not in line] == []


def test_the_lock_without_torch_still_holds_the_rest(dockerfile: str) -> None:
    pattern = re.search(r"grep -vE '(.+?)' requirements.lock", dockerfile)
    assert pattern is not None
    lines = (ROOT / "requirements.lock").read_text().splitlines()

    kept = [line for line in lines if not re.search(pattern[1], line)]

    assert [line for line in kept if re.match(r"(torch|torchvision|triton)==|nvidia|cuda", line)] == []
    assert {line.partition("==")[0].lower() for line in kept} >= {
        "numpy",
        "onnx",
        "onnxruntime",
        "pydantic",
        "sqlalchemy",
    }


def test_the_images_are_built_from_what_is_there(compose: dict[str, Any], dockerfile: str) -> None:
    targets = set(re.findall(r"^FROM \S+ AS (\w+)", dockerfile, re.MULTILINE))
    copied = [source for line in re.findall(r"^COPY (.+) \S+$", dockerfile, re.MULTILINE) for source in line.split()]

    assert {compose["services"][name]["build"]["target"] for name in OURS} <= targets
    assert copied
    assert [source for source in copied if not (ROOT / source).exists()] == []


def test_the_api_image_has_no_engine(dockerfile: str) -> None:
    assert "[engine" not in dockerfile.partition("AS api")[2].partition("FROM")[0]
