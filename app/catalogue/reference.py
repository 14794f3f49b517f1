"""The OpenAPI document as a page to read: no script, no style, nothing from another server."""

from __future__ import annotations

import json
from collections.abc import Iterator
from html import escape
from typing import Any

from app.document import operations

Document = dict[str, Any]


def reference_page(document: Document) -> str:
    """Return the page: what there is by subject, each operation to be unfolded, and every shape."""
    info = document["info"]
    parts = [
        '<!doctype html><html lang="en"><meta charset="utf-8"><title>Secateur: reference</title>',
        f"<h1>Secateur {escape(info['version'])}</h1><p>{escape(info['description'])}</p>",
        '<p>For programs: <a href="/openapi.json">/openapi.json</a>.</p>',
        *_subjects(document),
        "<h2>Shapes</h2>",
        *(_shape(name, schema) for name, schema in sorted(document["components"]["schemas"].items())),
        "</html>",
    ]
    return "".join(parts)


def _subjects(document: Document) -> Iterator[str]:
    for tag in document["tags"]:
        yield f'<h2 id="{tag["name"]}">{tag["name"].capitalize()}</h2><p>{escape(tag["description"])}</p>'
        for path, method, operation in operations(document["paths"]):
            if tag["name"] in operation["tags"]:
                yield _operation(document, f"{method.upper()} {path}", operation)


def _operation(document: Document, name: str, operation: dict[str, Any]) -> str:
    parameters = "".join(_parameter(one) for one in operation.get("parameters", []))
    bodies = "".join(_body(document, *one) for one in operation.get("requestBody", {}).get("content", {}).items())
    answers = "".join(_answer(document, *one) for one in operation["responses"].items())
    summary = f"<summary><code>{escape(name)}</code> {operation['summary']}</summary>"
    return (
        f'<details id="{operation["operationId"]}">{summary}'
        f"<p>{escape(operation['description'])}</p>"
        + (f"<h3>Parameters</h3><dl>{parameters}</dl>" if parameters else "")
        + (f"<h3>Body</h3><dl>{bodies}</dl>" if bodies else "")
        + f"<h3>Answers</h3><dl>{answers}</dl></details>"
    )


def _parameter(one: dict[str, Any]) -> str:
    need = "required" if one.get("required") else "optional"
    about = one.get("description") or one["schema"].get("description", "")
    example = json.dumps(one["example"], ensure_ascii=False)
    place = f"<dt><code>{escape(one['name'])}</code>, in the {one['in']}, {need}"
    return f"{place}<dd>{escape(about)} For example <code>{escape(example)}</code>"


def _body(document: Document, media_type: str, content: dict[str, Any]) -> str:
    shape = content["schema"].get("$ref", "").rpartition("/")[2]
    named = f', <a href="#{shape}">{shape}</a>' if shape else ""
    examples = [document["components"]["examples"][one["$ref"].rpartition("/")[2]]["value"] for one in _shown(content)]
    shown = "".join(f"<pre>{_readable(example)}</pre>" for example in examples)
    return f"<dt><code>{escape(media_type)}</code>{named}<dd>{shown}"


def _shown(content: dict[str, Any]) -> list[dict[str, str]]:
    return [one for one in content.get("examples", {}).values() if "$ref" in one]


def _answer(document: Document, status: str, response: dict[str, Any]) -> str:
    headers = ", ".join(f"<code>{name}</code>" for name in response["headers"])
    contents = "" if status >= "400" else "".join(_body(document, *one) for one in response.get("content", {}).items())
    said = f"<dt>{status}<dd>{escape(response['description'])}<br>Headers: {headers}"
    return said + (f"<dl>{contents}</dl>" if contents else "")


def _shape(name: str, schema: dict[str, Any]) -> str:
    return f'<details id="{name}"><summary><code>{name}</code></summary><pre>{_readable(schema)}</pre></details>'


def _readable(value: Any) -> str:
    return escape(json.dumps(value, indent=1, ensure_ascii=False))
