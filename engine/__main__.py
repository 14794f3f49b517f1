"""`python -m engine COMMAND …`: the engine at the prompt and under the worker, no server needed.

Results and progress go to standard output as JSON lines.
Exit status: 0 done, 1 refused or check failed, 2 wrong usage, 143 stopped by SIGTERM.
"""

from __future__ import annotations

import argparse
import importlib
import os
import signal
import sys
from types import FrameType

from engine.commands import COMMANDS
from engine.commands.output import put
from engine.errors import EngineError


def main(arguments: list[str]) -> int:
    name = arguments[0] if arguments else None
    if name not in COMMANDS:
        return _usage(name)
    signal.signal(signal.SIGTERM, _stop)
    # Read when torch is loaded: threads that wait asleep. Beside other programs a training step took half the time.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    drawer = importlib.import_module(f"engine.commands.{name}")
    parser = argparse.ArgumentParser(prog=f"python -m engine {name}", description=drawer.__doc__)
    drawer.add_arguments(parser)
    options = parser.parse_args(arguments[1:])
    try:
        status: int = drawer.run(options)
    except EngineError as error:
        put({"event": "error", "error": error.as_dict()})
        return 1
    return status


def _usage(name: str | None) -> int:
    asked_for_help = name in ("-h", "--help")
    lines = [f"usage: python -m engine {{{','.join(COMMANDS)}}} …", ""]
    lines += [f"  {command:10} python -m engine {command} --help" for command in COMMANDS]
    print("\n".join(lines), file=sys.stdout if asked_for_help else sys.stderr)
    return 0 if asked_for_help else 2


def _stop(signum: int, frame: FrameType | None) -> None:
    raise SystemExit(128 + signum)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
