"""Asks one address over and over, as a process of its own: as fast as it is answered, or at a given rate.

python -m benchmarks.http_load HOST PORT PATH --token TOKEN --connections 8 --seconds 10 [--rate 50]

Prints one line of JSON: `answers` and `seconds`, and every answer's time from when it was due, in milliseconds.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import time


class Connection:
    """One HTTP/1.1 connection that is kept alive."""

    def __init__(self, host: str, port: int, path: str, token: str) -> None:
        self._where = (host, port)
        lines = [f"GET {path} HTTP/1.1", f"Host: {host}", f"Authorization: Bearer {token}", "Accept: application/json"]
        self._request = "\r\n".join([*lines, "", ""]).encode()

    async def open(self) -> None:
        self._reader, self._writer = await asyncio.open_connection(*self._where)

    async def ask(self) -> None:
        """One request and its whole answer. Raises RuntimeError unless it is 200."""
        self._writer.write(self._request)
        head = await self._reader.readuntil(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 200"):
            raise RuntimeError(f"unexpected answer: {head!r} {(await self._reader.read(800))!r}")
        length = next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
        await self._reader.readexactly(int(length.partition(b":")[2]))


async def as_fast_as_answered(connections: list[Connection], seconds: float) -> list[float]:
    """Each connection asks again as soon as it is answered."""
    times: list[float] = []
    end = time.perf_counter() + seconds

    async def keep_asking(connection: Connection) -> None:
        while (began := time.perf_counter()) < end:
            await connection.ask()
            times.append((time.perf_counter() - began) * 1000)

    await asyncio.gather(*(keep_asking(connection) for connection in connections))
    return times


async def at_rate(connections: list[Connection], seconds: float, rate: float) -> list[float]:
    """Requests fall due at a steady rate, whether or not the ones before are answered: lateness counts."""
    times: list[float] = []
    free: asyncio.Queue[Connection] = asyncio.Queue()
    for connection in connections:
        free.put_nowait(connection)

    async def ask(due: float) -> None:
        connection = await free.get()
        await connection.ask()
        times.append((time.perf_counter() - due) * 1000)
        free.put_nowait(connection)

    began = time.perf_counter()
    async with asyncio.TaskGroup() as group:
        for number in range(int(seconds * rate)):
            due = began + number / rate
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            group.create_task(ask(due))
    return times


async def main() -> None:
    """Measures and prints."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    for name in ("host", "port", "path"):
        arguments.add_argument(name)
    arguments.add_argument("--token", default="")
    arguments.add_argument("--connections", type=int, default=8)
    arguments.add_argument("--seconds", type=float, default=10)
    arguments.add_argument("--rate", type=float, default=None, help="requests a second; left out: as fast as answered")
    chosen = arguments.parse_args()
    connections = [
        Connection(chosen.host, int(chosen.port), chosen.path, chosen.token) for _ in range(chosen.connections)
    ]
    for connection in connections:
        await connection.open()
    began = time.perf_counter()
    if chosen.rate is None:
        times = await as_fast_as_answered(connections, chosen.seconds)
    else:
        times = await at_rate(connections, chosen.seconds, chosen.rate)
    took = time.perf_counter() - began
    print(json.dumps({"answers": len(times), "seconds": took, "milliseconds": [round(one, 2) for one in times]}))


if __name__ == "__main__":
    asyncio.run(main())
