"""What can be done with a job beside making and following it: hold it, try it again, read it, compare it, check it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from client import options
from client.errors import UsageError
from client.manifests import Verified, read_public_keys, verify_manifest
from client.tables import job_table
from client.terminal import open_client, out, print_json, problems_shown
from client.text import plain, size

job_commands = typer.Typer()

OtherJobId = Annotated[str, typer.Argument(help="Another job's id, job_…", metavar="OTHER")]
PublicKey = Annotated[
    str,
    typer.Option(
        "--public-key",
        envvar="SECATEUR_PUBLIC_KEY",
        help="A file that `secateur signing-keys` wrote earlier, or the key itself in base64.",
    ),
]


@job_commands.command("pause")
def pause(
    job_id: options.JobId, as_json: options.AsJson = False, server: options.Server = None, key: options.Key = None
) -> None:
    """Hold a job; what it has done so far is kept."""
    with problems_shown(), open_client(server, key) as client:
        _show(client.pause(job_id), as_json=as_json)


@job_commands.command("resume")
def resume(
    job_id: options.JobId, as_json: options.AsJson = False, server: options.Server = None, key: options.Key = None
) -> None:
    """Let a paused job go on."""
    with problems_shown(), open_client(server, key) as client:
        _show(client.resume(job_id), as_json=as_json)


@job_commands.command("retry")
def retry(
    job_id: options.JobId, as_json: options.AsJson = False, server: options.Server = None, key: options.Key = None
) -> None:
    """Make a new job like one that has ended."""
    with problems_shown(), open_client(server, key) as client:
        _show(client.retry(job_id), as_json=as_json)


@job_commands.command("delete")
def delete(
    job_id: options.JobId, as_json: options.AsJson = False, server: options.Server = None, key: options.Key = None
) -> None:
    """Delete a job that has ended, with its files, and show the receipt."""
    with problems_shown(), open_client(server, key) as client:
        receipt = client.delete(job_id)
        if as_json:
            print_json(receipt)
            return
        files = receipt.get("files", [])
        out.print(plain(f"deleted {job_id} with {len(files)} files; receipt {receipt.get('id')}"), markup=False)
        for file in files:
            out.print(plain(f"  {file['sha256']}  {file['name']}"), markup=False, soft_wrap=True)


@job_commands.command("log")
def log(job_id: options.JobId, server: options.Server = None, key: options.Key = None) -> None:
    """Print a job's log: what was told of it, and what the engine wrote."""
    with problems_shown(), open_client(server, key) as client:
        sys.stdout.write(plain(client.log(job_id)))


@job_commands.command("compare")
def compare(
    job_id: options.JobId,
    other: OtherJobId,
    as_json: options.AsJson = False,
    server: options.Server = None,
    key: options.Key = None,
) -> None:
    """Lay two jobs side by side."""
    with problems_shown(), open_client(server, key) as client:
        found = client.compare(job_id, other)
        if as_json:
            print_json(found)
            return
        table = Table("figure", job_id, other, "difference", "sure")
        for figure in found["figures"]:
            sure = {True: "yes", False: "no"}.get(figure["is_sure"], "")
            cells = (figure["name"], *(_number(figure[side]) for side in ("first", "second", "difference")), sure)
            table.add_row(*(Text(plain(cell)) for cell in cells))
        out.print(table)
        for line in (*_differences(found), *found["warnings"]):
            out.print(plain(line), markup=False)


@job_commands.command("manifest")
def manifest(
    job_id: options.JobId,
    output: Annotated[Path, typer.Option("--output", "-o", help="Where to write it.")] = Path("manifest.json"),
    server: options.Server = None,
    key: options.Key = None,
) -> None:
    """Fetch the signed account of a job: its inputs and outputs by digest, seed, environment and decisions."""
    with problems_shown(), open_client(server, key) as client:
        output.write_bytes(client.manifest(job_id))
        out.print(f"written to {output}", markup=False)


@job_commands.command("signing-keys")
def signing_keys(server: options.Server = None, key: options.Key = None) -> None:
    """Print the public keys of the service, to be kept for `secateur verify`."""
    with problems_shown(), open_client(server, key) as client:
        print_json(client.signing_keys())


@job_commands.command("verify")
def verify(
    manifest: Annotated[Path, typer.Argument(help="What `secateur manifest` wrote.", exists=True, dir_okay=False)],
    public_key: PublicKey,
    files: Annotated[
        list[Path] | None, typer.Argument(help="Files of the job.", metavar="[FILE]...", exists=True, dir_okay=False)
    ] = None,
    as_json: options.AsJson = False,
) -> None:
    """Check, offline, that a manifest is the service's and that the files are those that it vouches for."""
    with problems_shown():
        found = verify_manifest(manifest.read_bytes(), read_public_keys(_key_text(public_key)), files or ())
        if as_json:
            matched = [{"file": str(one.path), "role": one.role, "name": one.name} for one in found.files]
            print_json({"key_id": found.key_id, "files": matched, "manifest": found.manifest})
        else:
            _show_verified(found)


def _key_text(given: str) -> str:
    """Return what was given, or what is in the file of this name."""
    path = Path(given)
    try:
        return path.read_text(encoding="utf-8") if path.is_file() else given
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"The public key cannot be read: {error}.", where=given) from error


def _show_verified(found: Verified) -> None:
    job = found.manifest["job"]
    out.print(
        plain(f"signed by {found.key_id}: {job['id']}, {job['outcome']}, seed {found.manifest['seed']}"), markup=False
    )
    for one in found.files:
        out.print(plain(f"  {one.path}: {one.role} {one.name}"), markup=False, soft_wrap=True)
    given = {one.name for one in found.files}
    for entry in (*found.manifest["inputs"], *found.manifest["outputs"]):
        if entry["name"] not in given:
            line = f"  not checked: {entry['role']} {entry['name']} ({size(entry['size_bytes'])})"
            out.print(plain(line), markup=False, soft_wrap=True)


def _show(job: Any, *, as_json: bool) -> None:
    if as_json:
        print_json(job.raw)
    else:
        out.print(job_table(job))


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:,.4g}" if abs(value) < 1e6 else f"{value:,.0f}"


def _differences(found: dict[str, Any]) -> list[str]:
    lines = [f"{one['key']}: {one['first']} / {one['second']}" for one in found["recipe"]]
    units = found["units"]
    for name, words in (
        ("cut_in_first_only", "cut in the first only"),
        ("cut_in_second_only", "cut in the second only"),
    ):
        lines += [f"{words}: {', '.join(units[name])}"] if units[name] else []
    return lines
