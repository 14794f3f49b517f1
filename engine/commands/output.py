"""Standard output as JSON lines: one object a line, written at once so that a reader sees it at once."""

from __future__ import annotations

import json
from typing import Any

from pydantic import BaseModel


def put(document: BaseModel | dict[str, Any]) -> None:
    """Print one object as one line."""
    print(document.model_dump_json() if isinstance(document, BaseModel) else json.dumps(document), flush=True)
