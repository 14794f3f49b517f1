"""What `make test` does to find a browser, and what it leaves alone on a machine that is not its own."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / ".ci" / "browser"

FAKE = '#!/bin/bash\necho "$(basename "$0") $*" >> "$HEARD"\nexit {status}\n'


@pytest.fixture
def machine(tmp_path: Path) -> Path:
    """A machine without a browser: its own commands, all of which fail, and a note of which were called."""
    (tmp_path / "bin").mkdir()
    for name in ("python", "apt-get"):
        put(tmp_path, name, FAKE.format(status=1))
    put(tmp_path, "id", "#!/bin/bash\necho 0\n")
    return tmp_path


def put(machine: Path, name: str, content: str) -> None:
    (machine / "bin" / name).write_text(content)
    (machine / "bin" / name).chmod(0o755)


def run(machine: Path, **environment: str) -> tuple[subprocess.CompletedProcess[str], str]:
    """Run the script there as root; return what it said and what it called."""
    heard = machine / "heard"
    heard.touch()
    for name in ("bash", "basename"):
        if not (machine / "bin" / name).exists():
            (machine / "bin" / name).symlink_to(f"/usr/bin/{name}")
    done = subprocess.run(
        ["/bin/bash", SCRIPT, "python"],
        env={"PATH": str(machine / "bin"), "HEARD": str(heard)} | environment,
        check=False,
        capture_output=True,
        text=True,
    )
    return done, heard.read_text()


def test_the_systems_browser_is_taken(machine: Path) -> None:
    put(machine, "chromium", FAKE.format(status=0))

    done, heard = run(machine)

    assert (done.returncode, heard) == (0, "")


@pytest.mark.parametrize("environment", [{}, {"CI": "false"}])
def test_no_system_package_is_installed_unasked(machine: Path, environment: dict[str, str]) -> None:
    _, heard = run(machine, **environment)

    assert "apt-get" not in heard
    assert "playwright install chromium" in heard


def test_a_build_machine_takes_debians_package(machine: Path) -> None:
    put(machine, "apt-get", FAKE.format(status=0))

    done, heard = run(machine, CI="true")

    assert done.returncode == 0
    assert "install -y -qq --no-install-recommends chromium" in heard
    assert "playwright install" not in heard


def test_without_any_browser_the_other_tests_still_run(machine: Path) -> None:
    done, _ = run(machine)

    assert done.returncode == 0
    assert done.stderr.strip().splitlines() == [
        "No Chromium could be had: the browser test will fail. Install one (chromium or google-chrome) and run again."
    ]


def test_the_script_can_be_run() -> None:
    assert os.access(SCRIPT, os.X_OK)
