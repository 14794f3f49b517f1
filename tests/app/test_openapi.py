"""The OpenAPI document tells the truth, and no page needs another server."""

from __future__ import annotations

import re
from typing import Any

import httpx2
import pytest

from app.artifacts.schemas import ArtifactsList
from app.audit.schemas import AuditPage
from app.candidates.schemas import CandidatesList
from app.catalogue.schemas import Limits, Me, MethodsList
from app.jobs.schemas import EventsPage, JobsPage, JobView
from app.keys.schemas import KeysList
from app.openapi import ProblemView
from app.projects.schemas import OrganizationsPage, OrganizationView, ProjectsPage, ProjectView, UsageView
from app.stored_files import ModelView
from app.uploads.schemas import UploadView
from app.webhooks.schemas import DeliveriesPage, DeliveryDetail, WebhooksPage, WebhookView
from engine.recipe import METHODS
from tests.app.running import Service, finish_job, make_job, start_job


@pytest.fixture
def schema(client: httpx2.Client) -> dict[str, Any]:
    found: dict[str, Any] = client.get("/openapi.json").json()
    return found


def test_every_path_describes_its_success_and_its_problems(schema: dict[str, Any]) -> None:
    for path, methods in schema["paths"].items():
        for method, operation in methods.items():
            assert operation["description"], (method, path)
            statuses = set(operation["responses"])
            assert statuses & {"200", "201", "202", "204"}, (method, path)
            for status, response in operation["responses"].items():
                if int(status) >= 400 and method != "head":
                    assert list(response["content"]) == ["application/problem+json"], (method, path, status)
            if path.startswith("/v1/"):
                assert {"401", "403", "429", "500", "503"} <= statuses, (method, path)
                assert "requestBody" not in operation or {"400", "413"} <= statuses, (method, path)
                assert operation["security"] == [{"key": []}]
            names = {parameter["name"] for parameter in operation.get("parameters", []) if parameter["in"] == "path"}
            assert names == {part.strip("{}") for part in path.split("/") if part.startswith("{")}, (method, path)


def test_every_reference_in_the_document_leads_somewhere(schema: dict[str, Any]) -> None:
    def references(node: Any) -> list[str]:
        if isinstance(node, dict):
            own = [node["$ref"]] if isinstance(node.get("$ref"), str) else []
            return own + [found for value in node.values() for found in references(value)]
        return [found for value in node for found in references(value)] if isinstance(node, list) else []

    for reference in references(schema):
        found: Any = schema
        for step in reference.removeprefix("#/").split("/"):
            found = found[step]


def test_a_change_promises_no_defaults(schema: dict[str, Any]) -> None:
    """A generated client sends the defaults that it reads, and would reset what it was not asked to change."""
    changes = [
        methods["patch"]["requestBody"]["content"]["application/json"]["schema"]["$ref"]
        for methods in schema["paths"].values()
        if "application/json" in methods.get("patch", {}).get("requestBody", {}).get("content", {})
    ]

    assert changes
    for name in (reference.rpartition("/")[2] for reference in changes):
        properties = schema["components"]["schemas"][name]["properties"]
        assert [key for key, value in properties.items() if "default" in value] == []


def test_operation_ids_are_unique(schema: dict[str, Any]) -> None:
    ids = [operation["operationId"] for methods in schema["paths"].values() for operation in methods.values()]

    assert len(ids) == len(set(ids))


def test_answers_have_the_shape_that_is_promised(service: Service) -> None:
    with service.client() as client:
        job = make_job(client)
        finish_job(service, start_job(service, job["id"]), {"model.onnx": b"promised"})
        upload = client.put("/v1/files?filename=a", content=b"x").json()
        hook = client.post("/v1/webhooks", json={"url": "https://example.com/"}).json()
        tested = client.post(f"/v1/webhooks/{hook['id']}/test")
        answers: dict[str, Any] = {
            f"/v1/jobs/{job['id']}": JobView,
            "/v1/jobs": JobsPage,
            f"/v1/jobs/{job['id']}/events": EventsPage,
            f"/v1/jobs/{job['id']}/artifacts": ArtifactsList,
            f"/v1/jobs/{job['id']}/candidates": CandidatesList,
            f"/v1/uploads/{upload['id']}": UploadView,
            f"/v1/models/{job['model_id']}": ModelView,
            "/v1/keys": KeysList,
            "/v1/webhooks": WebhooksPage,
            f"/v1/webhooks/{hook['id']}": WebhookView,
            f"/v1/webhooks/{hook['id']}/deliveries": DeliveriesPage,
            tested.headers["Location"]: DeliveryDetail,
            "/v1/methods": MethodsList,
            "/v1/limits": Limits,
            "/v1/me": Me,
            "/v1/usage": UsageView,
            "/v1/projects": ProjectsPage,
            "/v1/projects/prj_default": ProjectView,
            "/v1/organizations": OrganizationsPage,
            "/v1/organizations/org_default": OrganizationView,
            "/v1/audit": AuditPage,
        }
        for path, view in answers.items():
            body = client.get(path).json()
            assert set(body) == {field.alias or name for name, field in view.model_fields.items()}, path
            view.model_validate(body)
        ProblemView.model_validate(client.get("/v1/jobs/job_0").json())


def test_methods_are_those_of_the_engine(client: httpx2.Client) -> None:
    listed = client.get("/v1/methods").json()["methods"]

    assert [method["name"] for method in listed] == list(METHODS)
    assert all(method["description"] and method["schema"]["properties"] for method in listed)


def test_no_page_asks_another_server_for_anything(client: httpx2.Client) -> None:
    page = client.get("/docs")

    assert page.headers["Content-Security-Policy"] == "default-src 'none'"
    assert re.findall(r"<(?:script|link|style|img|iframe|base)\b", page.text) == []
    addresses = re.findall(r'<[^>]*\s(?:src|href|action|data|poster)="([^"]*)"', page.text)
    assert "/openapi.json" in addresses
    assert [address for address in addresses if address != "/openapi.json" and not address.startswith("#")] == []
    assert client.get("/redoc").status_code == 404


def test_the_page_shows_every_operation_and_every_shape(client: httpx2.Client, schema: dict[str, Any]) -> None:
    page = client.get("/docs").text
    anchors = set(re.findall(r'id="(\w+)"', page))

    assert {one["operationId"] for methods in schema["paths"].values() for one in methods.values()} <= anchors
    assert set(schema["components"]["schemas"]) <= anchors
    assert set(re.findall(r'href="#(\w+)"', page)) <= anchors
    assert (
        re.findall(r"<(?!/?(?:html|meta|title|h[123]|p|a|code|details|summary|dl|dt|dd|pre|br|!doctype)\b)", page) == []
    )
