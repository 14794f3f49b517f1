"""An example of every view, put together from what its fields say: their own examples, defaults, bounds and names."""

from __future__ import annotations

from typing import Any, Final

from app.document.links import PARAMETER_OF_VIEW

MOMENT: Final = "2026-11-22T05:01:00Z"
SHA256: Final = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
IDS: Final = {
    "artifact_id": "art_01kaq8g6k0b2d4f6h8j1m3n5p7",
    "candidate_id": "01",
    "dataset_id": "dat_01kaq8d6h2k4m6p8r1t3v5w7y9",
    "delivery_id": "dlv_01kaq8g6m2c4x8z1n5v7b9d3f0",
    "job_id": "job_01kaq8e0a2s4d6f8g1h3j5k7m9",
    "key_id": "key_01kaq8b1c3d5e7f9g2h4j6k8m0",
    "message_id": "msg_01kaq8g6m1h3k5p7r9t2w4y6z8",
    "model_id": "mod_01kaq8d5f1g3h5j7k9m2n4p6q8",
    "organization_id": "org_default",
    "other_job_id": "job_01kaq8f3xn7e9r2t5y8v1b4c6d",
    "project_id": "prj_default",
    "upload_id": "upl_01k9x3vt5h7r8e2m4q6s0w1y3z",
    "webhook_id": "whk_01kaq8f3xn7e9r2t5y8v1b4c6d",
}
TEXTS: Final = IDS | {
    "action": "POST /v1/jobs",
    "code": "not-found",
    "device": "cpu",
    "filename": "model.onnx",
    "id": IDS["job_id"],
    "keyid": "sct-sign-1",
    "media_type": "application/octet-stream",
    "month": "2026-11",
    "name": "model.onnx",
    "key_name": "ci",
    "page_token": "WyJqb2JfMDFrYXE4ZTBhMnM0ZDZmOGcxaDNqNWs3bTkiLCJqb2JzOiJd",
    "preprocess": '{"mean": [0.5], "std": [0.5]}',
    "request_id": "req_5f0c1d2e3a4b5c6d7e8f9a0b",
    "sha256": SHA256,
    "url": "https://store.example.com/secateur/part?signature=…",
}
NOTHING: Final = {
    "architecture",
    "cancelling_at",
    "deadline",
    "disabled_at",
    "disabled_reason",
    "error",
    "error_code",
    "failing_since",
    "finalizing_at",
    "finished_at",
    "header",
    "next_page_token",
    "outcome",
    "paused_at",
    "pausing_at",
    "previous_secret_expires_at",
    "retry_of",
    "queue_position",
    "revoked_at",
    "where",
}
"""What is null in an example, where it may be: it says that something went wrong, is over or was not asked for."""


class Examples:
    """Puts examples together from the schemas of one document's components."""

    def __init__(self, schemas: dict[str, Any]) -> None:
        self._schemas = schemas
        self._open: list[str] = []

    def of_component(self, name: str) -> Any:
        """Return an example of a component: its own, with what it leaves out, or one made of its members'."""
        schema = self._schemas[name]
        if "examples" not in schema:
            return self._made(schema, name)
        return self._filled(schema["examples"][0], schema, name)

    def of(self, schema: dict[str, Any], name: str = "") -> Any:
        """Return an example of any schema; `name` is the member's or parameter's."""
        if "$ref" in schema:
            return self._of_reference(schema["$ref"].rpartition("/")[2])
        for key in ("const", "default"):
            if schema.get(key) is not None:
                return schema[key]
        for key in ("examples", "enum"):
            if key in schema:
                return schema[key][0]
        choices = schema.get("anyOf") or schema.get("oneOf") or schema.get("allOf")
        return self._chosen(choices, name) if choices else self._made(schema, name)

    def _of_reference(self, component: str) -> Any:
        if component in self._open:  # a shape that holds itself
            return {}
        self._open.append(component)
        try:
            return self.of_component(component)
        finally:
            self._open.pop()

    def _chosen(self, choices: list[dict[str, Any]], name: str) -> Any:
        if {"type": "null"} in choices and name in NOTHING:
            return None
        return self.of(choices[0], name)

    def _made(self, schema: dict[str, Any], name: str) -> Any:
        match schema.get("type"):
            case "object":
                return self._object(schema, name)
            case "array":
                return self._array(schema, name)
            case "string":
                return schema["enum"][0] if "enum" in schema else _text(schema, name)
            case "integer" | "number":
                return _number(schema)
            case "boolean":
                return False
        return None

    def _object(self, schema: dict[str, Any], name: str) -> dict[str, Any]:
        made = {key: self._member(schema, key) for key in schema.get("properties", {})}
        if name in PARAMETER_OF_VIEW and "id" in made:
            made["id"] = IDS[PARAMETER_OF_VIEW[name]]
        return made

    def _member(self, schema: dict[str, Any], key: str) -> Any:
        member = schema["properties"][key]
        is_asked = key in schema.get("required", []) or "examples" in member
        return self.of(member, key) if is_asked or not _may_be_nothing(member) else None

    def _filled(self, given: Any, schema: dict[str, Any], name: str = "") -> Any:
        """Return what was given with the members that must be there; FastAPI leaves out those that are null."""
        if "$ref" in schema:
            name = schema["$ref"].rpartition("/")[2]
            return self._filled(given, self._schemas[name], name)
        if isinstance(given, list):
            return [self._filled(one, schema.get("items", {})) for one in given]
        if not isinstance(given, dict) or "properties" not in schema:
            return given
        members = {key: self._filled(value, schema["properties"].get(key, {})) for key, value in given.items()}
        missing = [key for key in schema.get("required", []) if key not in given]
        return members | {key: self.of(schema["properties"][key], key) for key in missing}

    def _array(self, schema: dict[str, Any], name: str) -> list[Any]:
        if "prefixItems" in schema:
            return [self.of(item, name) for item in schema["prefixItems"]]
        return [self.of(schema["items"], name)] * max(1, schema.get("minItems", 1)) if schema.get("items") else []


def _may_be_nothing(schema: dict[str, Any]) -> bool:
    return {"type": "null"} in schema.get("anyOf", [])


def _text(schema: dict[str, Any], name: str) -> str:
    match schema.get("format"):
        case "date-time":
            return MOMENT
        case "binary":
            return ""
    ending = next((text for key, text in TEXTS.items() if name.endswith(f"_{key}")), None)
    return TEXTS.get(name) or ending or name or "text"


def _number(schema: dict[str, Any]) -> float:
    """Return 1 where that may be, else the bound that is next to it, or half of an open one."""
    low = schema.get("minimum", schema.get("exclusiveMinimum", 0) + 1 if "exclusiveMinimum" in schema else 1)
    least: float = max(1, low)
    most: float = schema.get("maximum", schema.get("exclusiveMaximum", 2 * least) / 2)
    return min(least, most)


def add_examples(paths: dict[str, Any], components: dict[str, Any]) -> None:
    """Give every parameter, and every body of JSON, an example; those of views are components, named like them."""
    examples, schemas = Examples(components["schemas"]), components["schemas"]
    for name in [name for name, schema in schemas.items() if "examples" in schema]:
        schemas[name]["examples"] = [examples.of_component(name)]
    for methods in paths.values():
        for operation in methods.values():
            for parameter in operation.get("parameters", []):
                if not {"example", "examples"} & set(parameter):
                    parameter["example"] = examples.of(parameter["schema"], parameter["name"])
            for place in (operation.get("requestBody", {}), *operation["responses"].values()):
                content = place.get("content", {}).get("application/json")
                if content is not None and not {"example", "examples"} & set(content):
                    content["examples"] = _of_body(content["schema"], examples, components["examples"])


def _of_body(schema: dict[str, Any], examples: Examples, shared: dict[str, Any]) -> dict[str, Any]:
    """Refer to the example of the view that a body is; a body that may be left out has the example of what it is."""
    schema = next((choice for choice in schema.get("anyOf", []) if "$ref" in choice), schema)
    name = schema.get("$ref", "").rpartition("/")[2]
    if not name:
        return {"example": {"value": examples.of(schema)}}
    shared.setdefault(name, {"value": examples.of(schema)})
    return {"example": {"$ref": f"#/components/examples/{name}"}}
