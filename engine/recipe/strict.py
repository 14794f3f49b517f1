"""What recipes and reports are made of: models that refuse unknown keys, and numbers that are numbers."""

from __future__ import annotations

import difflib
from typing import Annotated, Any

from pydantic import AllowInfNan, BaseModel, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError


class Strict(BaseModel):
    """A frozen model that refuses unknown keys and says which known one was probably meant."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    @model_validator(mode="before")
    @classmethod
    def _name_the_nearest_known_key(cls, value: Any) -> Any:
        if isinstance(value, dict):
            for key in value:
                if key not in cls.model_fields:
                    raise unknown_key(str(key), list(cls.model_fields))
        return value


def unknown_key(key: str, known: list[str]) -> PydanticCustomError:
    key = key.encode(errors="replace").decode()  # half a surrogate pair is legal in JSON and in no text
    nearest = difflib.get_close_matches(key, known, n=1, cutoff=0.5)
    hint = f"did you mean '{nearest[0]}'?" if nearest else f"known keys: {', '.join(known)}."
    return PydanticCustomError("unknown_key", "Unknown key '{key}': {hint}", {"key": key, "hint": hint})


# True and text in quotes are no numbers in JSON, and pydantic would take them for some.
Whole = Annotated[int, Field(strict=True)]
Number = Annotated[float, Field(strict=True)]
Finite = Annotated[Number, AllowInfNan(False)]  # JSON has no infinity, and no database gives one back
