"""`secateur projects …`, `secateur keys …` and `secateur usage`: who may do what, how much, and what was used."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import typer
from rich.table import Column, Table

from client import options
from client.errors import UsageError
from client.tenancy import Key, Project
from client.terminal import add_row, open_client, out, print_json, problems_shown, show
from client.text import duration, size

projects = typer.Typer(no_args_is_help=True, help="Projects of the organisation, and their limits.")
keys = typer.Typer(no_args_is_help=True, help="API keys: make them, list them, take them back.")
usage_commands = typer.Typer()

ProjectId = Annotated[str, typer.Argument(help="The project's id, prj_…", metavar="ID")]
OfProject = Annotated[str | None, typer.Option("--project", help="Another project of the organisation, prj_….")]
Limit = Annotated[
    list[str] | None,
    typer.Option(help="jobs_running=2, or jobs_running=none to lift it (repeatable).", metavar="NAME=NUMBER"),
]
Scopes = Annotated[list[str] | None, typer.Option("--scope", help="read and write by default (repeatable): jobs:read.")]
Expires = Annotated[
    datetime | None, typer.Option(help="When it ends; local time without a zone.", formats=options.MOMENTS)
]

SAID = {
    "stored_bytes": size,
    "compute_seconds_per_month": duration,
}
"""How a figure of usage is said; the others are numbers."""


@projects.command("list")
def list_projects(as_json: options.AsJson = False, server: options.Server = None, key: options.Key = None) -> None:
    """List the organisation's projects."""
    with problems_shown(), open_client(server, key) as client:
        found = list(client.projects.list())
        if as_json:
            print_json([project.raw for project in found])
            return
        table = Table(Column("project", no_wrap=True, min_width=30), "name", "limits")
        for project in found:
            add_row(table, project.id, project.name, _limits_of(project))
        out.print(table)


@projects.command("create")
def create_project(
    name: Annotated[str, typer.Argument(help="Yours to choose.")],
    limit: Limit = None,
    as_json: options.AsJson = False,
    server: options.Server = None,
    key: options.Key = None,
) -> None:
    """Make a project; its keys are made with `secateur keys create NAME --project ID`."""
    with problems_shown(), open_client(server, key) as client:
        _show_project(client.projects.create(name, **limits_of(limit)), as_json=as_json)


@projects.command("change")
def change_project(
    project_id: ProjectId,
    name: Annotated[str | None, typer.Option(help="A new name.")] = None,
    limit: Limit = None,
    as_json: options.AsJson = False,
    server: options.Server = None,
    key: options.Key = None,
) -> None:
    """Change a project's name or limits; what is not named stays."""
    with problems_shown(), open_client(server, key) as client:
        _show_project(client.projects.update(project_id, name=name, **limits_of(limit)), as_json=as_json)


@projects.command("delete")
def delete_project(project_id: ProjectId, server: options.Server = None, key: options.Key = None) -> None:
    """Delete a project that has nothing any more, with its keys."""
    with problems_shown(), open_client(server, key) as client:
        client.projects.delete(project_id)


@keys.command("list")
def list_keys(
    project: OfProject = None, as_json: options.AsJson = False, server: options.Server = None, key: options.Key = None
) -> None:
    """List the project's keys, those taken back too."""
    with problems_shown(), open_client(server, key) as client:
        found = client.keys.list(project_id=project)
        if as_json:
            print_json([each.raw for each in found])
            return
        table = Table(Column("key", no_wrap=True, min_width=30), "name", "scopes", "last used", "state")
        for each in found:
            add_row(table, each.id, each.name, ", ".join(each.scopes), each.last_used_at or "never", _state_of(each))
        out.print(table)


@keys.command("create")
def create_key(
    name: Annotated[str, typer.Argument(help="Who or what will hold it.")],
    scope: Scopes = None,
    expires: Expires = None,
    project: OfProject = None,
    as_json: options.AsJson = False,
    server: options.Server = None,
    key: options.Key = None,
) -> None:
    """Make a key and show it, this once; it can do no more than the key that makes it."""
    with problems_shown(), open_client(server, key) as client:
        made = client.keys.create(
            name, scopes=scope or ("read", "write"), expires_at=options.moment_of(expires), project_id=project
        )
        show(made.raw, f"{made.id}\nkey, shown this once: {made.secret}", as_json=as_json)


@keys.command("revoke")
def revoke_key(
    key_id: Annotated[str, typer.Argument(help="The key's id, key_…", metavar="ID")],
    project: OfProject = None,
    server: options.Server = None,
    key: options.Key = None,
) -> None:
    """Take a key back; within a second it opens nothing more."""
    with problems_shown(), open_client(server, key) as client:
        client.keys.revoke(key_id, project_id=project)


@usage_commands.command("usage")
def usage_command(
    project: OfProject = None,
    month: Annotated[str | None, typer.Option(help="Of what month the compute time is, 2026-11.")] = None,
    as_json: options.AsJson = False,
    server: options.Server = None,
    key: options.Key = None,
) -> None:
    """Show what the project has, what it may have, and what its jobs took in a month."""
    with problems_shown(), open_client(server, key) as client:
        found = client.projects.usage(project, month=month)
        if as_json:
            print_json(found)
            return
        table = Table("what", "now", "at most")
        for name, limit in found["limits"].items():
            add_row(table, name, _said(name, found["now"].get(name)), "" if limit is None else _said(name, limit))
        for each in found["compute"]:
            add_row(table, f"{found['month']} on {each['device']}", duration(each["seconds"]), "")
        out.print(table)


def limits_of(texts: list[str] | None) -> dict[str, int | None]:
    """Read limits as they are written on the command line. Raises UsageError."""
    return dict(map(_limit_of, texts or ()))


def _limit_of(text: str) -> tuple[str, int | None]:
    name, _, number = text.partition("=")
    if not name or not (number == "none" or (number.isascii() and number.isdigit())):
        raise UsageError(f"'{text}' is no limit.", what_to_do="Write it as jobs_running=2, or jobs_running=none.")
    return name, None if number == "none" else int(number)


def _limits_of(project: Project) -> str:
    return ", ".join(f"{name} {_said(name, limit)}" for name, limit in project.limits.items() if limit is not None)


def _said(name: str, figure: float | None) -> str:
    return "" if figure is None else SAID.get(name, str)(figure)


def _state_of(key: Key) -> str:
    if key.revoked_at is not None:
        return f"taken back {key.revoked_at}"
    return "good" if key.expires_at is None else f"good until {key.expires_at}"


def _show_project(project: Project, *, as_json: bool) -> None:
    show(project.raw, f"{project.id} {project.name} {_limits_of(project)}".rstrip(), as_json=as_json)
