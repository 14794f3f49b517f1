"""Another project's ids are as unknown as those that never were, on every path of the OpenAPI document."""

from __future__ import annotations

import re
from typing import Any

import httpx2
import pytest

from app.main import ROUTERS
from tests.app.running import (
    Service,
    assert_problem,
    finish_job,
    make_job,
    make_model,
    put_file,
    start_job,
)

UNKNOWN = "_0123456789abcdefghjkmnpqrs"


def paths_with_ids(schema: dict[str, Any]) -> list[tuple[str, str]]:
    return [
        (method.upper(), path)
        for path, methods in schema["paths"].items()
        for method in methods
        if "{" in path and path.startswith("/v1/")
    ]


@pytest.fixture(scope="module")
def ids(service: Service) -> dict[str, str]:
    """One of everything, in the default project."""
    with service.client() as client:
        upload_id = put_file(client)["id"]
        model_id = make_model(client)
        dataset_id = client.post("/v1/datasets", json={"upload_id": upload_id}).json()["id"]
        job_id = make_job(client, model_id, dataset_id=dataset_id)["id"]
        finish_job(service, start_job(service, job_id), {"model.onnx": b"small"})
        artifact_id = client.get(f"/v1/jobs/{job_id}/artifacts").json()["artifacts"][0]["id"]
        key_id = client.post("/v1/keys", json={"name": "theirs"}).json()["id"]
        webhook_id = client.post("/v1/webhooks", json={"url": "https://example.com/"}).json()["id"]
        delivery_id = client.post(f"/v1/webhooks/{webhook_id}/test").json()["id"]
    return {
        "upload_id": upload_id,
        "model_id": model_id,
        "dataset_id": dataset_id,
        "project_id": "prj_default",
        "organization_id": "org_default",
        "job_id": job_id,
        "other_job_id": job_id,
        "name": "latency",
        "candidate_id": "01",
        "artifact_id": artifact_id,
        "key_id": key_id,
        "webhook_id": webhook_id,
        "delivery_id": delivery_id,
    }


BODIES: dict[tuple[str, str], Any] = {
    ("POST", "keys"): {"name": "x"},
    ("POST", "parts"): {"part_numbers": [1]},
}
"""What a request must have before its path is looked at, by its method and the last word of its path."""


def ask(client: httpx2.Client, method: str, path: str) -> httpx2.Response:
    headers = {"Upload-Offset": "0", "Upload-Complete": "?1", "Content-Type": "application/partial-upload"}
    if method == "PATCH" and path.startswith("/v1/uploads"):
        return client.request(method, path, content=b"", headers=headers)
    if path.startswith("/v1/datasets/") and path.endswith("/report"):
        return client.request(method, path, params={"model_id": "mod" + UNKNOWN})
    body = {} if method == "PATCH" else BODIES.get((method, path.rpartition("/")[2]))
    return client.request(method, path, json=body)


def filled(path: str, ids: dict[str, str]) -> str:
    return path.format(**{name: ids[name] for name in re.findall(r"{(\w+)}", path)})


def unknown_ids(ids: dict[str, str]) -> dict[str, str]:
    return {name: value.partition("_")[0] + UNKNOWN for name, value in ids.items()}


def what_there_is(owner: httpx2.Client, ids: dict[str, str]) -> list[Any]:
    """Read what a stranger must not have changed."""
    paths = ("/v1/jobs/{job_id}", "/v1/models/{model_id}", "/v1/projects/{project_id}", "/v1/webhooks")
    keys = [(key["id"], key["revoked_at"]) for key in owner.get("/v1/keys").json()["keys"]]
    return [keys, *(owner.get(filled(path, ids)).json() for path in paths)]


def test_another_organisations_ids_are_not_found_on_any_path(service: Service, ids: dict[str, str]) -> None:
    """Not even by a key with every scope that there is."""
    with service.client() as owner:
        made = owner.post("/v1/organizations", json={"name": "stranger"}).json()
        before = what_there_is(owner, ids)
        with service.client(made["admin_key"]["key"]) as client:
            for method, path in paths_with_ids(client.get("/openapi.json").json()):
                real, unknown = filled(path, ids), filled(path, unknown_ids(ids))
                response, other = ask(client, method, real), ask(client, method, unknown)
                assert response.status_code == 404, (method, path, response.text)
                assert other.status_code == 404, (method, path, other.text)
                if method != "HEAD":
                    said = [assert_problem(answer, 404, "not-found")["detail"] for answer in (response, other)]
                    assert said[0].replace(real.split("/")[3], "") == said[1].replace(unknown.split("/")[3], "")
        assert what_there_is(owner, ids) == before


def test_another_projects_ids_are_refused_on_every_path(service: Service, ids: dict[str, str]) -> None:
    """An admin of a neighbour in the same organisation: not found, or not allowed whichever id it is."""
    neighbour = service.new_project("prj_neighbour00000000000000000")
    with service.client() as owner, service.client(neighbour) as client:
        before = what_there_is(owner, ids)
        for method, path in paths_with_ids(client.get("/openapi.json").json()):
            answers = [ask(client, method, filled(path, some)) for some in (ids, unknown_ids(ids))]
            assert {answer.status_code for answer in answers} in ({404}, {403}), (method, path)
            if answers[0].status_code == 403:
                assert path.startswith(("/v1/projects", "/v1/organizations"))
                assert_problem(answers[0], 403, "forbidden-scope", "organization:admin")
        assert what_there_is(owner, ids) == before


def test_no_path_with_an_id_opens_without_a_key(service: Service, ids: dict[str, str]) -> None:
    with httpx2.Client(base_url=service.url) as client:
        for method, path in paths_with_ids(client.get("/openapi.json").json()):
            assert ask(client, method, filled(path, ids)).status_code == 401, (method, path)


def test_bodies_cannot_name_another_projects_things(service: Service, ids: dict[str, str]) -> None:
    stranger = service.new_project("prj_stranger000000000000000001")
    with service.client(stranger) as client:
        own = make_model(client, b"own")

        for path, body in (
            ("/v1/models", {"upload_id": ids["upload_id"]}),
            ("/v1/datasets", {"upload_id": ids["upload_id"]}),
            ("/v1/jobs", {"model_id": ids["model_id"]}),
            ("/v1/jobs", {"model_id": own, "dataset_id": ids["dataset_id"]}),
        ):
            assert_problem(client.post(path, json=body), 404, "not-found", "Check the id")


def test_lists_show_the_own_project_only(service: Service, ids: dict[str, str]) -> None:
    stranger = service.new_project(stranger_id := "prj_stranger000000000000000002")
    with service.client(stranger) as client:
        assert client.get("/v1/jobs").json()["jobs"] == []
        assert client.get("/v1/models").json()["models"] == []
        assert client.get("/v1/datasets").json()["datasets"] == []
        assert client.get("/v1/webhooks").json()["webhooks"] == []
        assert len(client.get("/v1/keys").json()["keys"]) == 1
        assert {entry["project_id"] for entry in client.get("/v1/audit").json()["entries"]} <= {stranger_id}
        assert client.get("/v1/usage").json()["now"]["stored_bytes"] == 0


def test_the_same_bytes_of_another_project_are_not_known(service: Service, ids: dict[str, str]) -> None:
    """A digest must not tell whether somebody else has a file."""
    stranger = service.new_project("prj_stranger000000000000000003")
    with service.client() as owner, service.client(stranger) as client:
        sha256 = owner.get(f"/v1/models/{ids['model_id']}").json()["sha256"]

        created = client.post("/v1/uploads", json={"filename": "a", "size_bytes": 7, "sha256": sha256}).json()

    assert not created["complete"]
    assert created["offset_bytes"] == 0


def test_every_router_is_in_the_document(service: Service) -> None:
    with service.client() as client:
        documented = set(client.get("/openapi.json").json()["paths"])

    for router in ROUTERS:
        for route in router.routes:
            if getattr(route, "include_in_schema", False):
                assert getattr(route, "path", "") in documented
