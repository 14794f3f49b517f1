"""The walls around a child: what it sees of the machine and of our environment, and who enforces its limits.

Under bubblewrap where that works, else under resource limits alone. Starts nothing but a probe.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final, Literal

from worker.limits import ChildLimits

Sandbox = Literal["bubblewrap", "limits"]

LAUNCHER: Final = Path(__file__).with_name("launch.py")
SYSTEM_PATHS: Final = (
    *("/usr", "/lib", "/lib32", "/lib64", "/bin", "/sbin", "/sys"),
    *("/etc/ld.so.cache", "/etc/ld.so.conf", "/etc/ld.so.conf.d", "/etc/alternatives", "/etc/localtime"),
)
PASSED_ON: Final = ("PATH", "LANG", "LD_LIBRARY_PATH", "OMP_NUM_THREADS")
"""All that the child sees of the worker's environment."""

TMP_BYTES: Final = 64 * 1024**2


@dataclass(frozen=True)
class Program:
    """What to start, and the files that it is made of."""

    command: tuple[str, ...]
    readable: tuple[Path, ...] = ()
    environment: Mapping[str, str] | None = None


@cache
def choose_sandbox(wanted: Literal["auto", "bubblewrap", "limits"]) -> Sandbox:
    """Return what this machine can do. Raises RuntimeError where bubblewrap is required and does not work."""
    if wanted == "limits":
        return "limits"
    if bubblewrap_works():
        return "bubblewrap"
    if wanted == "auto":
        return "limits"
    raise RuntimeError("SECATEUR_SANDBOX=bubblewrap, but `bwrap` is not installed or may not make namespaces here.")


def command_of(
    program: Program,
    arguments: list[str],
    *,
    folder: Path,
    shared: Mapping[str, Path],
    limits: ChildLimits,
    sandbox: Sandbox,
    gpu: str | None,
) -> list[str]:
    """Return what to start so that the program runs within the walls; without bubblewrap `shared` is for the caller."""
    launched = _launched([*program.command, *arguments], limits, sandbox)
    if sandbox == "limits":
        return launched
    return [*_walls(program.readable, gpu), *_folders(folder, shared), *launched]


def environment_of(program: Program, folder: Path, sandbox: Sandbox, gpu: str | None) -> dict[str, str]:
    """Return all that the child is told by its environment: no secret of ours."""
    home = "/job" if sandbox == "bubblewrap" else str(folder)
    passed_on = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
    own = {"HOME": home, "TMPDIR": home, "USER": "engine", "PYTHONHASHSEED": "0", "CUDA_VISIBLE_DEVICES": gpu or ""}
    return {**passed_on, **own, **(program.environment or {})}


def _launched(command: list[str], limits: ChildLimits, sandbox: Sandbox) -> list[str]:
    in_bubblewrap = sandbox == "bubblewrap"
    launcher = "/launch.py" if in_bubblewrap else str(LAUNCHER)
    # Bubblewrap sees to it by itself that nothing outlives the worker.
    wish = {"limits": limits.as_rlimits(), "parent": None if in_bubblewrap else os.getpid()}
    return [sys.executable, "-I", "-S", launcher, json.dumps(wish), *command]


def _walls(readable: tuple[Path, ...], gpu: str | None) -> list[str]:
    """Return bubblewrap's command as far as it is the same for every folder."""
    command = ["bwrap", "--unshare-all", "--die-with-parent", "--cap-drop", "ALL", "--proc", "/proc", "--dev", "/dev"]
    command += ["--size", str(TMP_BYTES), "--tmpfs", "/tmp"]  # noqa: S108  # the child's own, and the only one it sees
    for path in (*SYSTEM_PATHS, sys.base_prefix, sys.prefix, *readable):
        command += ["--ro-bind-try", str(path), str(path)]
    for device in _nvidia_devices() if gpu is not None else []:
        command += ["--dev-bind", device, device]
    return [*command, "--ro-bind", str(LAUNCHER), "/launch.py"]


def _folders(folder: Path, shared: Mapping[str, Path]) -> list[str]:
    command = ["--bind", str(folder), "/job"]
    for name, path in shared.items():
        command += ["--bind", str(path), f"/job/{name}"]
    return [*command, "--chdir", "/job", "--"]


@cache
def bubblewrap_works() -> bool:
    if shutil.which("bwrap") is None:
        return False
    probe = [*_walls((), None), "--", sys.executable, "-I", "-S", "-c", ""]
    return subprocess.run(probe, capture_output=True, timeout=30, check=False).returncode == 0


def _nvidia_devices() -> list[str]:
    return sorted(str(path) for path in Path("/dev").glob("nvidia*"))
