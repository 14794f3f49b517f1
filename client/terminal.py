"""What every command of `secateur` shares: the two consoles, the client, and how a problem is told."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from client.client import Client
from client.errors import ClientError
from client.progress import Progress, choose_progress
from client.tables import problem_lines
from client.text import plain

out = Console(highlight=False, width=None if sys.stdout.isatty() else 140)  # a pipe has no width of its own
err = Console(stderr=True, highlight=False)


def open_client(server: str | None, key: str | None, progress: Progress | None = None) -> Client:
    return Client(server, key, on_trouble=(progress or choose_progress(err)).trouble)


@contextmanager
def problems_shown() -> Iterator[None]:
    """Write a problem as what, where and what to do, and leave with its exit code."""
    try:
        yield
    except ClientError as error:
        err.print(problem_lines(error.problem), markup=False, soft_wrap=True)
        raise typer.Exit(error.exit_code) from error


def show(raw: Any, text: str, *, as_json: bool) -> None:
    """Print an answer as it came, or in words."""
    if as_json:
        print_json(raw)
    else:
        out.print(plain(text), markup=False, soft_wrap=True)


def add_row(table: Table, *cells: object) -> None:
    """Add the server's words to a table, none of them taken for markup."""
    table.add_row(*(Text("" if cell is None else plain(cell)) for cell in cells))


def print_json(value: Any) -> None:
    """Print for a program: escapes inside strings are JSON's own, so nothing needs cleaning."""
    json.dump(value, sys.stdout, indent=2)
    sys.stdout.write("\n")
