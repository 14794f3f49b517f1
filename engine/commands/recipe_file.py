"""A recipe from a JSON file, with errors that name the key."""

from __future__ import annotations

import json
from pathlib import Path

from pydantic import ValidationError

from engine.errors import RecipeInvalid
from engine.recipe import Recipe, in_document


def read_recipe(path: Path | None) -> Recipe:
    """Return the recipe in a file, the defaults where there is none. Raises RecipeInvalid."""
    if path is None:
        return Recipe()
    try:
        return Recipe.model_validate(json.loads(path.read_text()))
    except OSError as error:
        raise RecipeInvalid(f"'{path}' cannot be read: {error.strerror}.", where=str(path)) from error
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise RecipeInvalid(f"'{path}' is not JSON: {error}.", where=str(path)) from error
    except ValidationError as error:
        raise _invalid(error) from error


def _invalid(error: ValidationError) -> RecipeInvalid:
    first = error.errors()[0]
    key = (first["ctx"]["key"],) if first["type"] == "unknown_key" else ()
    where = ".".join(in_document((*first["loc"], *key)))
    message = str(first["msg"]).rstrip(".")
    message += "" if message.endswith("?") else "."
    more = f" {error.error_count() - 1} more keys are wrong." if error.error_count() > 1 else ""
    return RecipeInvalid(f"{where}: {message}{more}" if where else f"{message}{more}", where=where or None)
