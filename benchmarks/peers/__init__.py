"""Other tools that remove channels, asked the same of the same networks: compared, never built on.

Each runs in a process of its own with a time limit, because on some networks they crash, hang or eat the memory.
"""

from __future__ import annotations

import json
import math
import resource
import signal
import subprocess
import sys
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

SPARSITY = 0.5
"""What every peer is asked to remove: half of the channels, by magnitude."""

PATIENCE = 5
"""On a busy machine, a second of processor time takes so many by the clock at most."""

PEERS = {"onnxsim": "benchmarks.peers.onnxsim_file", "torch-pruning": "benchmarks.peers.torch_pruning_module"}
"""Name on the package index -> the program that asks it. It prints one JSON object, an Answer, as its last line."""


@dataclass(frozen=True)
class Answer:
    """`share` of the MACs that went, 0 to 1, None where nothing usable came; `note` says why.

    `seconds` of processor time, None where they were not measured.
    """

    share: float | None
    note: str = ""
    seconds: float | None = None


def ask(peer: str, arguments: list[str], limit_seconds: float) -> Answer:
    """Run a peer on what the arguments name, within a limit of processor time; what goes wrong is an answer, too."""

    def set_limit() -> None:
        resource.setrlimit(resource.RLIMIT_CPU, (math.ceil(limit_seconds), math.ceil(limit_seconds) + 1))

    command = [sys.executable, "-m", PEERS[peer], *arguments]
    unfinished = Answer(None, f"not finished in {limit_seconds:.0f} s", limit_seconds)
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            check=False,
            timeout=PATIENCE * limit_seconds,
            preexec_fn=set_limit,  # safe: nothing here has started a thread
        )
    except subprocess.TimeoutExpired:
        return unfinished
    if done.returncode == -signal.SIGXCPU:
        return unfinished
    lines = done.stdout.strip().splitlines()
    if done.returncode or not lines:
        return Answer(None, _last_line(done.stderr) or f"died with code {done.returncode}")
    return Answer(**json.loads(lines[-1]))


def ask_once(peer: str, arguments: list[str], limit_seconds: float, memory: Path, key: str) -> Answer:
    """Do the same, unless the folder `memory` has what this version of the peer said: our code plays no part in it."""
    kept = memory / f"{peer}-{version(peer)}-{key}.json"
    if not kept.exists():
        memory.mkdir(parents=True, exist_ok=True)
        kept.write_text(json.dumps(asdict(ask(peer, arguments, limit_seconds))))
    found: dict[str, Any] = json.loads(kept.read_text())
    return Answer(**found)


def tell(answer: Answer) -> None:
    """Print an answer, as the programs of PEERS do."""
    print(json.dumps(asdict(answer)))


def _last_line(text: str) -> str:
    return (text.strip().splitlines() or [""])[-1][:200]
