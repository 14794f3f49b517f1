"""The OpenAPI document, made whole: FastAPI knows the paths and shapes, this adds what holds for all of them.

`app.openapi` is what decorators say; here is what no decorator has to say, since it follows from an operation's kind.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Final

from app.document.examples import add_examples
from app.document.headers import HEADERS, add_headers
from app.document.links import add_links
from app.document.problems import add_problems, problem_examples, problem_schemas

TAGS: Final = {
    "jobs": "A recipe on a model: asked for once, followed to its end.",
    "estimates": "What a job would come to, before it is asked for.",
    "health": "For whatever looks after the service.",
    "uploads": "Files on their way in: whole, in pieces, or straight into the store.",
    "artifacts": "The files that a job delivered.",
    "candidates": "The networks of a front.",
    "reports": "What came of a job, in figures and pictures.",
    "manifests": "What was done, signed.",
    "models": "Uploaded networks under their names.",
    "datasets": "Uploaded images under their names.",
    "catalogue": "What this service offers and how much of it.",
    "keys": "Keys of the project.",
    "webhooks": "Being told of jobs instead of asking.",
    "projects": "What belongs together, and how much it may be.",
    "organizations": "The customers of one installation.",
    "audit": "Who changed what.",
}
KEY: Final = {
    "type": "http",
    "scheme": "bearer",
    "bearerFormat": "sct_…",
    "description": "An API key. It belongs to one project, has scopes, and may have an end.",
}
OPEN: Final[list[dict[str, list[str]]]] = []
"""What needs no key."""


def complete(document: dict[str, Any]) -> dict[str, Any]:
    """Complete FastAPI's document in place, and return it."""
    components, paths = document.setdefault("components", {}), document["paths"]
    _add_front_matter(document)
    _add_shared_components(components)
    for path, method, operation in operations(paths):
        is_keyed = path.startswith("/v1/") or path == "/metrics"
        operation["summary"] = operation["operationId"].replace("_", " ").capitalize()
        operation["security"] = [{"key": []}] if is_keyed else OPEN
        add_problems(operation, is_keyed=is_keyed)
        add_headers(operation, is_keyed=is_keyed)
        if method == "head":
            _leave_bodies_out(operation)
    for _name, _method, operation in operations(document.get("webhooks", {})):
        operation["summary"] = f"Message {operation['operationId']}"
        operation["security"] = OPEN  # a signature instead
        operation["responses"].pop("422", None)  # what the receiver answers is its own affair
    _tell_unions_apart(components["schemas"])
    components["examples"] = problem_examples(paths)
    add_links(paths, components["schemas"])
    add_examples(paths, components)
    _describe_defaults(components["schemas"])
    return document


def operations(paths: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Yield path, method and operation of each operation of a document's section."""
    for path, methods in paths.items():
        for method, operation in methods.items():
            yield path, method, operation


def _add_front_matter(document: dict[str, Any]) -> None:
    document["info"]["license"] = {"name": "Apache-2.0", "identifier": "Apache-2.0"}
    document["servers"] = [{"url": "/", "description": "The service that this document came from."}]
    document["tags"] = [{"name": name, "description": description} for name, description in TAGS.items()]


def _add_shared_components(components: dict[str, Any]) -> None:
    schemas = components.setdefault("schemas", {})
    for name in ("HTTPValidationError", "ValidationError"):  # FastAPI's own shape of errors, which is not ours
        schemas.pop(name, None)
    schemas.update(problem_schemas())
    components["securitySchemes"] = {"key": KEY}
    components["headers"] = HEADERS


def _leave_bodies_out(operation: dict[str, Any]) -> None:
    """A HEAD is answered like a GET, but for the body."""
    for response in operation["responses"].values():
        response.pop("content", None)


def _tell_unions_apart(schemas: dict[str, Any]) -> None:
    """Require what the classes of a union are told apart by: a constant, or else the one member that no other has.

    It may have a default, for whoever makes one in Python; in JSON the class could not be told without it. But for the
    class that is meant without its constant: a union with one is `anyOf`, for whether it excludes the others is more
    than most readers see.
    """
    for union in list(_having(schemas, "oneOf")):
        choices = [schemas[choice["$ref"].rpartition("/")[2]] for choice in union["oneOf"]]
        constants = set.intersection(*(_constants(choice) for choice in choices))
        usual = {name: union.get("default", {}).get(name) for name in constants}
        for choice in choices:
            needed = [name for name in constants if choice["properties"][name]["const"] != usual[name]]
            needed += [] if constants else _own(choice, choices)
            choice["required"] = list(dict.fromkeys([*choice.get("required", []), *needed]))
        if any(usual.values()):
            union["anyOf"] = union.pop("oneOf")


def _own(choice: dict[str, Any], choices: list[dict[str, Any]]) -> list[str]:
    """Return the member that this class alone has, where there is one."""
    others = [other for other in choices if other is not choice]
    own = [name for name in choice["properties"] if not any(name in other["properties"] for other in others)]
    return own if len(own) == 1 else []


def _describe_defaults(schemas: dict[str, Any]) -> None:
    """Tell a default that is an object in words: generators of clients stumble over it and leave the class out."""
    for schema in _having(schemas, "default"):
        if isinstance(schema["default"], dict):
            absent = f"Absent: `{json.dumps(schema.pop('default'))}`."
            schema["description"] = f"{schema.get('description', '')} {absent}".strip()


def _constants(schema: dict[str, Any]) -> set[str]:
    return {name for name, member in schema["properties"].items() if "const" in member}


def _having(node: Any, key: str) -> Iterator[dict[str, Any]]:
    """Yield every schema that says something under a key."""
    if isinstance(node, dict):
        if key in node:
            yield node
        for value in list(node.values()):
            yield from _having(value, key)
    elif isinstance(node, list):
        for value in node:
            yield from _having(value, key)
