"""What can be done next with what an operation has just answered: OpenAPI's links, found from paths and views."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final

PARAMETER_OF_VIEW: Final = {
    "ArtifactView": "artifact_id",
    "CandidateView": "candidate_id",
    "DatasetView": "dataset_id",
    "DeliveryView": "delivery_id",
    "JobView": "job_id",
    "KeyView": "key_id",
    "ModelView": "model_id",
    "NewKeyView": "key_id",
    "NewOrganizationView": "organization_id",
    "NewWebhookView": "webhook_id",
    "OrganizationView": "organization_id",
    "ProjectView": "project_id",
    "UploadView": "upload_id",
    "WebhookView": "webhook_id",
}
"""Whose `id` the paths take under which name."""

WANTED_IN_A_BODY: Final = {
    "UploadView": ("upload_id", ("create_model", "create_dataset")),
    "ModelView": ("model_id", ("create_job", "estimate_job")),
}
"""Whose `id` goes into which member of whose body."""

PLACES: Final = re.compile(r"{(\w+)}")


def add_links(paths: dict[str, Any], schemas: dict[str, Any]) -> None:
    """Link every response that shows something new to all operations that take its id."""
    for path, methods in paths.items():
        own = [] if path.endswith("/retry") else PLACES.findall(path)
        for operation in methods.values():
            for status, response in operation["responses"].items():
                links = dict(_links(paths, schemas, response, own)) if status.startswith("2") else {}
                if links:
                    response["links"] = links


def _links(
    paths: dict[str, Any], schemas: dict[str, Any], response: dict[str, Any], own: list[str]
) -> Iterator[tuple[str, Any]]:
    for view, pointer in _shown(schemas, response):
        name = PARAMETER_OF_VIEW[view]
        if name in own:
            continue
        value = f"$response.body#{pointer}/id"
        for operation_id, places in _takers(paths, name):
            others = {place: f"$request.path.{place}" for place in places if place != name}
            if set(others) <= set(own):
                yield operation_id, {"operationId": operation_id, "parameters": {name: value} | others}
        member, takers = WANTED_IN_A_BODY.get(view, ("", ()))
        for operation_id in takers:
            yield operation_id, {"operationId": operation_id, "requestBody": {member: value}}


def _shown(schemas: dict[str, Any], response: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield the views that a response shows, each with its place: the whole body, or the first of a list."""
    view = _named(response.get("content", {}).get("application/json", {}).get("schema", {}))
    if view in PARAMETER_OF_VIEW:
        yield view, ""
    for name, member in schemas.get(view, {}).get("properties", {}).items():
        listed = _named(member.get("items", {}))
        if listed in PARAMETER_OF_VIEW:
            yield listed, f"/{name}/0"


def _takers(paths: dict[str, Any], name: str) -> Iterator[tuple[str, list[str]]]:
    for path, methods in paths.items():
        places = PLACES.findall(path)
        if name in places:
            yield from ((operation["operationId"], places) for operation in methods.values())


def _named(schema: dict[str, Any]) -> str:
    return str(schema.get("$ref", "")).rpartition("/")[2]
