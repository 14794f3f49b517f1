"""The command line's options, each once: its name, its help and its range."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from client.errors import UsageError

MOMENTS = ["%Y-%m-%dT%H:%M:%S%z", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M", "%Y-%m-%d %H:%M"]
_TARGET = "Target (at most one; without, 0.7 of the latency)"
_DEPLOY = "Where the result will run"
_IMAGES = "How an image becomes the network's input"

Server = Annotated[
    str | None, typer.Option(envvar="SECATEUR_SERVER", help="Address of the service; http://127.0.0.1:8080 by default.")
]
Key = Annotated[str | None, typer.Option(envvar="SECATEUR_KEY", help="API key.", show_default=False)]
JobId = Annotated[str, typer.Argument(help="The job's id, job_…", metavar="ID")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for a program.")]

Calibration = Annotated[
    Path | None, typer.Option("--calibration", "-c", help="Images: a folder, .zip, .npz or .npy.", exists=True)
]
RecipeFile = Annotated[
    Path | None, typer.Option("--recipe", help="A recipe as JSON; options go over it.", exists=True, dir_okay=False)
]
Architecture = Annotated[
    str | None,
    typer.Option(help="Which network a file of bare weights belongs to: torchvision/resnet50.", metavar="NAME"),
]

LatencyRatio = Annotated[
    float | None, typer.Option(help="Latency over the original's: 0.7 turns 10 ms into 7.", rich_help_panel=_TARGET)
]
LatencyMs = Annotated[float | None, typer.Option(help="Latency in milliseconds.", rich_help_panel=_TARGET)]
MacsRatio = Annotated[
    float | None, typer.Option(help="Multiply-accumulates over the original's.", rich_help_panel=_TARGET)
]
ParametersRatio = Annotated[float | None, typer.Option(help="Parameters over the original's.", rich_help_panel=_TARGET)]
Units = Annotated[int | None, typer.Option(help="Number of units to remove.", rich_help_panel=_TARGET)]
Pareto = Annotated[
    int | None,
    typer.Option(help="A front: so many networks from one job, 2 to 16; -o is a folder.", rich_help_panel=_TARGET),
]
MinAgreement = Annotated[
    float | None, typer.Option(help="Stop before agreement with the original falls below this, 0 to 1.")
]

Batch = Annotated[int | None, typer.Option(help="Images a run.", rich_help_panel=_DEPLOY)]
Threads = Annotated[int | None, typer.Option(help="Threads a run.", rich_help_panel=_DEPLOY)]
Provider = Annotated[str | None, typer.Option(help="cpu or cuda.", rich_help_panel=_DEPLOY)]

Resize = Annotated[int | None, typer.Option(help="Shorter side in pixels.", rich_help_panel=_IMAGES)]
Crop = Annotated[int | None, typer.Option(help="Side of the centre crop in pixels.", rich_help_panel=_IMAGES)]
Mean = Annotated[
    str | None,
    typer.Option(
        help="Of scaled pixels, one number or one a channel; 0 for a network that takes 0 to 1. "
        "Absent: ImageNet's for three channels, 0.485,0.456,0.406.",
        rich_help_panel=_IMAGES,
    ),
]
Std = Annotated[str | None, typer.Option(help="One number a channel: 0.229,0.224,0.225.", rich_help_panel=_IMAGES)]

Synthesis = Annotated[
    str | None,
    typer.Option(help="How images are made where too few are sent: auto, procedural, inversion or priors."),
]
Outputs = Annotated[
    str | None, typer.Option(help="Further files of the result, beside it: fp16, int8, or both as fp16,int8.")
]
BudgetSeconds = Annotated[float | None, typer.Option(help="Wall-clock time for the whole job.")]
Seed = Annotated[int | None, typer.Option(help="The same seed gives the same job.")]

Label = Annotated[
    list[str] | None, typer.Option(help="name=value, yours to choose (repeatable).", metavar="NAME=VALUE")
]
Priority = Annotated[int, typer.Option(help="Among your project's jobs; more is sooner.", min=-100, max=100)]
Deadline = Annotated[
    datetime | None,
    typer.Option(help="Give the job up if nobody has begun it by then; local time without a zone.", formats=MOMENTS),
]


def labels_of(texts: list[str] | None) -> dict[str, str]:
    """Read labels as they are written on the command line. Raises UsageError."""
    for text in texts or ():
        if not text.partition("=")[0] or "=" not in text:
            raise UsageError(f"'{text}' is no label.", what_to_do="Write it as name=value, such as team=vision.")
    return dict(text.split("=", 1) for text in texts or ())


def moment_of(given: datetime | None) -> datetime | None:
    """Take a moment without a zone as local time."""
    return None if given is None else given.astimezone()
