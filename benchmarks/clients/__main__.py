"""`python -m benchmarks.clients`: clients generated from a running service's document run the quick start.

One by openapi-python-client, one by openapi-typescript with openapi-fetch, type-checked by `tsc --strict`; both into a
temporary folder. The service is the embedded default with the real engine, the network a tiny one. The last line is one
JSON object; its exit status is 1 unless both clients delivered the same as the service did.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from benchmarks.clients.generators import node_modules, node_tool, python_environment
from benchmarks.record import machine
from examples.embedded import Service, running_service
from tests.end_to_end.samples import pictures, residual_network

PROGRAMS: Final = Path(__file__).parents[2] / "examples" / "clients"
FILES: Final = ("model.onnx", "images.zip")


def main() -> int:
    with tempfile.TemporaryDirectory(prefix="secateur-clients-") as name:
        folder = Path(name)
        for file, content in zip(FILES, (residual_network(), pictures()), strict=True):
            (folder / file).write_bytes(content)
        with running_service(folder / "service.log", {"OMP_NUM_THREADS": "1"}) as service:
            figures = {language: _tried(client, folder, service) for language, client in CLIENTS.items()}
    figures["commit"] = machine().commit
    print(json.dumps(figures))
    return 0 if all(figures[language]["works"] for language in CLIENTS) else 1


def python_client(folder: Path, url: str) -> list[str]:
    """Generate the Python client beside its quick start, and return the command that runs it."""
    programs = python_environment() / "bin"
    generate = [str(programs / "openapi-python-client"), "generate", "--meta", "none", "--fail-on-warning"]
    generate += ["--url", f"{url}/openapi.json", "--config", str(PROGRAMS / "python.yaml")]
    _run([*generate, "--output-path", str(folder / "secateur_api")], folder)
    shutil.copy(PROGRAMS / "quick_start.py", folder)
    return [str(programs / "python"), "quick_start.py"]


def typescript_client(folder: Path, url: str) -> list[str]:
    """Generate the types beside their quick start, compile both strictly, and return the command that runs it."""
    (folder / "node_modules").symlink_to(node_modules())
    (folder / "package.json").write_text('{"type": "module"}')
    types = [node_tool("openapi-typescript"), f"{url}/openapi.json", "--output", "schema.d.ts"]
    _run([*types, "--default-non-nullable", "false"], folder)
    for name in ("quick_start.ts", "tsconfig.json"):
        shutil.copy(PROGRAMS / name, folder)
    _run([node_tool("tsc"), "--project", "tsconfig.json"], folder)
    return ["node", "built/quick_start.js"]


CLIENTS: Final[dict[str, Callable[[Path, str], list[str]]]] = {
    "python": python_client,
    "typescript": typescript_client,
}


def _tried(make: Callable[[Path, str], list[str]], folder: Path, service: Service) -> dict[str, Any]:
    """Make a client and let it run the quick start; say what came of it, or why nothing did."""
    home, started = folder / make.__name__, time.monotonic()
    home.mkdir()
    try:
        command = make(home, service.url)
        made = time.monotonic()
        given = [*(str(folder / name) for name in FILES), "smaller.onnx"]
        said = json.loads(_run([*command, service.url, service.key, *given], home).splitlines()[-1])
    except subprocess.CalledProcessError as error:
        print(error.stdout, error.stderr, sep="\n", file=sys.stderr)
        return {"works": False, "failed": Path(error.cmd[0]).name}
    seconds = {"generate_seconds": round(made - started, 1), "run_seconds": round(time.monotonic() - made, 1)}
    return {"works": (home / "smaller.onnx").stat().st_size == said["size_bytes"]} | said | seconds


def _run(command: list[str], folder: Path) -> str:
    return subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True).stdout


if __name__ == "__main__":
    sys.exit(main())
