"""A load generator as a process of its own: one GET over keep-alive connections, for a bounded time.

`python -m benchmarks.load` reads a JSON object (port, path, headers, connections, seconds) from standard input and
prints the number of answers and of those that were not 200. Plain bytes, so that the server is what is measured.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from dataclasses import dataclass

import uvloop


@dataclass
class Count:
    answers: int = 0
    failures: int = 0


async def ask_until(port: int, request: bytes, deadline: float, count: Count) -> None:
    """Send the request again and again on one connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    while time.monotonic() < deadline:
        writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        lowered = head.lower()
        length = int(lowered.split(b"content-length:", 1)[1].split(b"\r\n", 1)[0])
        await reader.readexactly(length)
        count.answers += 1
        count.failures += not head.startswith(b"HTTP/1.1 200")
    writer.close()


async def main() -> None:
    """Run the load that standard input describes."""
    asked = json.load(sys.stdin)
    headers = "".join(f"{name}: {value}\r\n" for name, value in asked["headers"].items())
    request = f"GET {asked['path']} HTTP/1.1\r\nHost: 127.0.0.1\r\n{headers}\r\n".encode()
    count = Count()
    started = time.monotonic()
    deadline = started + asked["seconds"]
    await asyncio.gather(*(ask_until(asked["port"], request, deadline, count) for _ in range(asked["connections"])))
    print(json.dumps({"answers": count.answers, "failures": count.failures, "seconds": time.monotonic() - started}))


if __name__ == "__main__":
    uvloop.run(main())
