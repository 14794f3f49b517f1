"""The table of methods: each says how much harm the loss of each unit would do, after repair."""

from __future__ import annotations

from collections.abc import Callable

from engine.methods import practise
from engine.methods.study import Study
from engine.progress import Tell

METHODS: dict[str, Callable[[Study, Tell], dict[str, float]]] = {"practise": practise.harm}
