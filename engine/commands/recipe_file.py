"""A recipe from a JSON file, with errors that name the key."""

from __future__ import annotations

import json
from pathlib import Path

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from engine.errors import RecipeInvalid
from engine.recipe import Recipe, in_document

TOLD_MOST = 5
"""So many wrong keys are told one by one."""


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
    found = [_told(one) for one in error.errors()]
    more = " More keys are wrong." if len(found) > TOLD_MOST else ""
    said = " ".join(f"{where}: {message}" if where else message for where, message in found[:TOLD_MOST])
    return RecipeInvalid(said + more, where=found[0][0] or None)


def _told(error: ErrorDetails) -> tuple[str, str]:
    """Return which key of the document is wrong, and why, as a sentence."""
    key = (error["ctx"]["key"],) if error["type"] == "unknown_key" else ()
    message = str(error["msg"]).rstrip(".")
    return ".".join(in_document((*error["loc"], *key))), message if message.endswith("?") else f"{message}."
