"""A load generator as a process of its own: one request over keep-alive connections, for a bounded time.

`python -m benchmarks.load` reads a JSON object (port, path, headers, connections, seconds; a body makes it a POST, and
another status than 200 may be expected) from standard input and prints the number of answers and of those that had
another status. Plain bytes, so that the server is what is measured.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from dataclasses import dataclass
from typing import Any

import uvloop


@dataclass
class Count:
    answers: int = 0
    failures: int = 0


async def ask_until(port: int, request: bytes, expected: bytes, deadline: float, count: Count) -> None:
    """Send the request again and again on one connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    while time.monotonic() < deadline:
        writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        lowered = head.lower()
        length = int(lowered.split(b"content-length:", 1)[1].split(b"\r\n", 1)[0])
        await reader.readexactly(length)
        count.answers += 1
        count.failures += not head.startswith(expected)
    writer.close()


async def main() -> None:
    """Run the load that standard input describes."""
    asked = json.load(sys.stdin)
    request, expected, count = _request(asked), f"HTTP/1.1 {asked.get('status', 200)} ".encode(), Count()
    started = time.monotonic()
    deadline = started + asked["seconds"]
    each = (ask_until(asked["port"], request, expected, deadline, count) for _ in range(asked["connections"]))
    await asyncio.gather(*each)
    print(json.dumps({"answers": count.answers, "failures": count.failures, "seconds": time.monotonic() - started}))


def _request(asked: dict[str, Any]) -> bytes:
    body = asked.get("body", "")
    headers = dict(asked["headers"])
    if body:
        headers |= {"Content-Type": "application/json", "Content-Length": str(len(body.encode()))}
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return f"{'POST' if body else 'GET'} {asked['path']} HTTP/1.1\r\nHost: 127.0.0.1\r\n{lines}\r\n{body}".encode()


if __name__ == "__main__":
    uvloop.run(main())
