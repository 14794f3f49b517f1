"""The small vocabulary of requests: names, file names, digests and labels, each with its limits in one place."""

from __future__ import annotations

import unicodedata
from typing import Annotated

from fastapi import Query
from pydantic import AfterValidator, Field, StringConstraints
from pydantic_core import PydanticCustomError

UNPRINTABLE = {"Cc", "Cs", "Zl", "Zp"}  # controls, halves of surrogate pairs, line and paragraph separators


def _printable(value: str) -> str:
    for character in value:
        if unicodedata.category(character) in UNPRINTABLE:
            message = "Character U+{code} cannot be printed: leave it out."
            raise PydanticCustomError("unprintable", message, {"code": f"{ord(character):04X}"})
    return value


printable = AfterValidator(_printable)


def _base_name(value: str) -> str:
    """Keep the last part of a path, whichever system's; a browser of old sends them whole."""
    name = value.replace("\\", "/").rsplit("/", 1)[-1].strip()
    if name in ("", ".", ".."):
        raise PydanticCustomError("file_name", "Expected a file's name, such as model.onnx.")
    return name


Name = Annotated[
    str, StringConstraints(min_length=1, max_length=200, strip_whitespace=True), AfterValidator(_printable)
]
FileName = Annotated[
    str, StringConstraints(min_length=1, max_length=255), AfterValidator(_printable), AfterValidator(_base_name)
]
Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-fA-F]{64}$", to_lower=True)]
LabelValue = Annotated[str, StringConstraints(max_length=200), AfterValidator(_printable)]
LabelFilter = Annotated[
    list[Annotated[str, StringConstraints(pattern=r"^[^=]+=", max_length=401), AfterValidator(_printable)]] | None,
    Query(max_length=32, description="`name=value`; of several, all must fit.", examples=[["team=vision"]]),
]
Labels = Annotated[dict[Name, LabelValue], Field(max_length=32)]
