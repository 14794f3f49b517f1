"""A stand-in for `python -m engine`: says of every file what was recorded of one, at once.

`stand_in.py RECORDING COMMAND …`; it reads nothing that it is given, so that a fuzzer may give it anything.
"""

import shutil
import sys
from pathlib import Path


def main() -> None:
    recording, command, arguments = Path(sys.argv[1]), sys.argv[2], sys.argv[3:]
    if command == "compress":
        out = Path(arguments[arguments.index("--out") + 1])
        shutil.copytree(recording / "out", out, dirs_exist_ok=True)
    sys.stdout.write((recording / f"{command}.jsonl").read_text())


if __name__ == "__main__":
    main()
