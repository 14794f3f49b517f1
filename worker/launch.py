"""Put limits on this process, then become the program that was asked for. Standard library only; started with -I."""

import ctypes
import json
import os
import resource
import signal
import sys

PR_SET_PDEATHSIG = 1
STARTED = b"secateur: the sandbox stands"
"""The first line of every child: without it, what failed is the sandbox and not the program."""


def main(arguments: list[str]) -> None:
    """Take `{"limits": {"RLIMIT_…": n}, "parent": pid or null}` and a command; does not return."""
    wish = json.loads(arguments[0])
    for name, value in wish["limits"].items():
        _limit(getattr(resource, name), value)
    if wish["parent"] is not None:
        _die_with(wish["parent"])
    os.write(1, STARTED + b"\n")
    os.execv(arguments[1], arguments[1:])  # noqa: S606  # there is no shell, and the command is the worker's own


def _limit(name: int, value: int) -> None:
    """Set a limit, or keep the machine's own where that is lower: only root may raise it."""
    _, hard = resource.getrlimit(name)
    lowest = value if hard == resource.RLIM_INFINITY else min(value, hard)
    resource.setrlimit(name, (lowest, lowest))


def _die_with(parent: int) -> None:
    """Be killed when the worker's thread that started this process ends, whatever it ends by."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it had ended before the line above
        os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    main(sys.argv[1:])
