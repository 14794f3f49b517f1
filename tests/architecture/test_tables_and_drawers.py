"""Every row of a table has a drawer, a file with one subject; every drawer is in its table."""

from __future__ import annotations

import ast
import importlib
import inspect
from collections.abc import Callable, Iterable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from app.dashboard import PAGES
from core.storage import STORAGES
from engine import methods, recipe
from engine.commands import COMMANDS
from engine.data.rungs import RUNGS
from engine.data.synthesis import SYNTHESES
from engine.execution.operators import OPERATORS
from engine.formats import FORMATS
from engine.graph.channels.rules import RULES
from engine.graph.folds import FOLDS
from engine.graph.idioms import IDIOMS
from engine.graph.merges import MERGES
from engine.outputs import OUTPUTS
from engine.recovery.optimisers import OPTIMISERS

ROOT = Path(__file__).parents[2]

# Files beside the drawers that several of them use.
SHARED = {
    "app/dashboard/pages": {"login"},  # where a visitor without a session is sent; no page of the menu
    "core/storage": {"base", "s3_direct"},
    "engine/commands": {"output", "recipe_file"},
    "engine/data/rungs": {"channel_statistics", "pixels", "wishes"},
    "engine/data/synthesis": {"canvas", "draw", "shapes", "surfaces"},
    "engine/execution/operators": {"windows"},
    "engine/formats": {"kinds", "archives"},
    "engine/graph/folds": {"affine", "layer"},
    "engine/graph/idioms": {"attention", "polynomials", "reading"},  # attention is found and never written
    "engine/graph/merges": {"convolution", "linear", "offer", "stencil"},
    "engine/graph/channels/rules": {"site", "told"},
    "engine/methods": set(),
    "engine/outputs": {"apart", "converted", "integers", "making", "notes"},
    "engine/recovery/optimisers": set(),
}


def file_of(row: Any) -> Path:
    """Return the file that defines a row's drawer: a module, a class, a function, or one that was made by another."""
    found = inspect.getsourcefile(inspect.unwrap(row))
    assert found is not None
    return Path(found)


def drawer_of(command: str) -> ModuleType:
    """Load the drawer of a command of the engine; its table holds names alone, so that each loads only its own."""
    return importlib.import_module(f"engine.commands.{command}")


def rows(table: Iterable[Any]) -> set[str]:
    return {file_of(row).stem for row in table}


TABLES: dict[str, Callable[[], set[str]]] = {
    "app/dashboard/pages": lambda: rows(page.function for page in PAGES),
    "core/storage": lambda: {module.rpartition(".")[2] for module, _name in STORAGES.values()},
    "engine/commands": lambda: rows(drawer_of(name) for name in COMMANDS),
    "engine/data/rungs": lambda: rows(rung.make for rung in RUNGS.values()),
    "engine/data/synthesis": lambda: rows(SYNTHESES.values()),
    "engine/execution/operators": lambda: rows(OPERATORS.values()),
    "engine/formats": lambda: {importlib.import_module(row.module).__name__.split(".")[-1] for row in FORMATS.values()},
    "engine/graph/folds": lambda: rows(FOLDS.values()),
    "engine/graph/idioms": lambda: rows(idiom.match for idiom in IDIOMS.values()),
    "engine/graph/merges": lambda: rows(MERGES.values()),
    "engine/graph/channels/rules": lambda: rows(RULES.values()),
    "engine/methods": lambda: set(methods.METHODS),
    "engine/outputs": lambda: rows(output.convert for output in OUTPUTS.values()),
    "engine/recovery/optimisers": lambda: rows(OPTIMISERS.values()),
}


@pytest.mark.parametrize("folder", TABLES)
def test_the_table_and_the_folder_hold_the_same(folder: str) -> None:
    drawers = {path.stem for path in (ROOT / folder).glob("*.py")} - {"__init__"} - SHARED[folder]

    assert TABLES[folder]() == drawers


@pytest.mark.parametrize("folder", TABLES)
def test_every_drawer_tells_its_subject(folder: str) -> None:
    for path in (ROOT / folder).glob("*.py"):
        assert ast.get_docstring(ast.parse(path.read_text())), f"{path} has no docstring"


def test_the_two_tables_of_methods_agree() -> None:
    """One holds what is asked, torch-free; the other how it is done."""
    assert set(recipe.METHODS) == set(methods.METHODS)
    for name, asked in recipe.METHODS.items():
        assert asked.model_fields["name"].default == name


def test_every_format_loads_the_same_way() -> None:
    for row in FORMATS.values():
        drawer = importlib.import_module(row.module)
        assert list(inspect.signature(drawer.load).parameters) == ["path", "architecture"]


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_describes_its_arguments_and_runs(name: str) -> None:
    drawer = drawer_of(name)

    assert list(inspect.signature(drawer.add_arguments).parameters) == ["parser"]
    assert list(inspect.signature(drawer.run).parameters) == ["options"]
    assert inspect.signature(drawer.run).return_annotation == "int"


def test_every_page_has_its_own_address() -> None:
    addresses = [page.path for page in PAGES]

    assert len(set(addresses)) == len(addresses)
    assert all(address.startswith("/admin") for address in addresses)
