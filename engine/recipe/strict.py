"""What recipes and reports are made of: models that refuse unknown keys, and numbers that are numbers."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Sequence
from itertools import islice
from typing import Annotated, Any

from pydantic import AllowInfNan, BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import InitErrorDetails, PydanticCustomError

TOLD_MOST = 20
"""So many unknown keys are told; who has more has sent something else than a recipe."""


class Strict(BaseModel):
    """A frozen model that refuses unknown keys and says which known one was probably meant."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    @model_validator(mode="before")
    @classmethod
    def _name_the_nearest_known_keys(cls, value: Any) -> Any:
        if isinstance(value, dict):
            refuse_unknown_keys(value, list(cls.model_fields))
        return value


def refuse_unknown_keys(keys: Collection[str], known: Sequence[str]) -> None:
    """Raise ValidationError with an error for each key that is not known, saying which known one is nearest.

    What the known ones hold is not looked at then.
    """
    unknown = islice((str(key) for key in keys if key not in known), TOLD_MOST)
    found = [InitErrorDetails(type=_unknown(key, known), input=None) for key in unknown]
    if found:
        raise ValidationError.from_exception_data("keys", found)


def _unknown(key: str, known: Sequence[str]) -> PydanticCustomError:
    key = key.encode(errors="replace").decode()  # half a surrogate pair is legal in JSON and in no text
    nearest = difflib.get_close_matches(key, known, n=1, cutoff=0.5)
    hint = f"did you mean '{nearest[0]}'?" if nearest else f"known keys: {', '.join(known)}."
    return PydanticCustomError("unknown_key", "Unknown key '{key}': {hint}", {"key": key, "hint": hint})


# True and text in quotes are no numbers in JSON, and pydantic would take them for some.
Whole = Annotated[int, Field(strict=True)]
Number = Annotated[float, Field(strict=True)]
Finite = Annotated[Number, AllowInfNan(False)]  # JSON has no infinity, and no database gives one back
