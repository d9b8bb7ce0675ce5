"""Pages that watch, many in one process: they note when they saw which progress. Started by `benchmarks.watchers`.

python -m benchmarks.watching_pages PORT TOKEN FILE < one line of JSON per page: the ids of the jobs that it follows

It says `ready` once every page has seen the whole state of all that it follows, and ends when told anything.
"""

from __future__ import annotations

import asyncio
import json
import re
import sys
import time
from pathlib import Path
from typing import Any

from websockets.asyncio.client import ClientConnection, connect

_TOPIC = re.compile(r'"topic": "job:(\d+)"')
_PROGRESS = re.compile(r'max=\\"1000\\" value=\\"(\d+)\\"')


class Page:
    """One WebSocket; `seen` holds (monotonic seconds, job, thousandths done)."""

    def __init__(self, jobs: list[int]) -> None:
        self.jobs = jobs
        self.seen: list[tuple[float, int, int]] = []
        self.is_ready = asyncio.Event()

    async def watch(self, port: int, token: str) -> None:
        """Until it is cancelled."""
        headers = {"Authorization": f"Bearer {token}"}
        address = f"ws://127.0.0.1:{port}/live"
        async with connect(
            address, additional_headers=headers, compression=None, open_timeout=60, proxy=None
        ) as socket:
            await socket.send(json.dumps({"follow": [f"job:{job}" for job in self.jobs]}))
            await self._read(socket)

    async def _read(self, socket: ClientConnection) -> None:
        known: set[int] = set()
        async for message in socket:
            at, text = time.monotonic(), str(message)
            topic, progress = _TOPIC.search(text, 0, 60), _PROGRESS.search(text)
            if topic is None or progress is None:
                continue
            job = int(topic.group(1))
            self.seen.append((at, job, int(progress.group(1))))
            known.add(job)
            if len(known) == len(self.jobs):
                self.is_ready.set()


async def main() -> None:
    """Opens the pages a few at a time, as people do."""
    port, token, path = int(sys.argv[1]), sys.argv[2], Path(sys.argv[3])
    lines = await asyncio.to_thread(_lines)
    pages = [Page(json.loads(line)) for line in lines]
    tasks: list[asyncio.Task[Any]] = []
    for page in pages:
        tasks.append(asyncio.create_task(page.watch(port, token)))
        await asyncio.sleep(0.02)
    for page, task in zip(pages, tasks, strict=True):
        waiting = asyncio.create_task(page.is_ready.wait())
        await asyncio.wait({waiting, task}, return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            task.result()
    print("ready", flush=True)
    await asyncio.to_thread(sys.stdin.readline)
    for task in tasks:
        task.cancel()
    path.write_text(json.dumps([page.seen for page in pages]))


def _lines() -> list[str]:
    lines: list[str] = []
    while line := sys.stdin.readline().strip():
        lines.append(line)
    return lines


if __name__ == "__main__":
    asyncio.run(main())
