"""Many uploads at once from one process: half as forms, half resumable in two parts. Prints what it saw as JSON.

python -m benchmarks.upload_load HOST PORT --token TOKEN [--uploads 50] [--megabytes 100]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import time
from collections.abc import AsyncIterator, Mapping

MEGABYTE = 1_000_000
BLOCK = os.urandom(250_000)
BOUNDARY = "b2f1e7"
FORM_HEAD = (
    f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="language"\r\n\r\nen\r\n'
    f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="talk.wav"\r\n'
    "Content-Type: audio/wav\r\n\r\n"
).encode()
FORM_TAIL = f"\r\n--{BOUNDARY}--\r\n".encode()


async def request(
    where: tuple[str, int], method: str, path: str, headers: Mapping[str, str], body: AsyncIterator[bytes] | None = None
) -> tuple[int, dict[str, str]]:
    """One request on a connection of its own; the status and the headers of its answer."""
    reader, writer = await asyncio.open_connection(*where)
    told = {"Host": "127.0.0.1", "Connection": "close", **headers}
    writer.write("\r\n".join([f"{method} {path} HTTP/1.1", *(f"{n}: {v}" for n, v in told.items()), "\r\n"]).encode())
    if body is not None:
        async for block in body:
            writer.write(block)
            await writer.drain()
    status = int((await reader.readline()).split()[1])
    found: dict[str, str] = {}
    while line := (await reader.readline()).strip():
        name, _, text = line.decode().partition(":")
        found[name.lower()] = text.strip()
    writer.close()
    return status, found


async def content(number: int, start: int, size: int) -> AsyncIterator[bytes]:
    """`size` bytes; those from the very start begin with the upload's number, so that no two files are the same."""
    head = number.to_bytes(16, "big") if start == 0 else b""
    yield head
    left = size - len(head)
    while left > 0:
        yield BLOCK[: min(left, len(BLOCK))]
        left -= len(BLOCK)


async def form(number: int, size: int) -> AsyncIterator[bytes]:
    """A form with a file of `size` bytes."""
    yield FORM_HEAD
    async for block in content(number, 0, size):
        yield block
    yield FORM_TAIL


async def send_form(where: tuple[str, int], token: str, number: int, size: int) -> None:
    """Submits a recording."""
    headers = {
        "Authorization": f"Bearer {token}",
        "Content-Type": f"multipart/form-data; boundary={BOUNDARY}",
        "Content-Length": str(size + len(FORM_HEAD) + len(FORM_TAIL)),
    }
    status, _ = await request(where, "POST", "/api/v1/transcriptions", headers, form(number, size))
    assert status == 201, f"a form was answered with {status}"


async def send_resumable(where: tuple[str, int], token: str, number: int, size: int) -> None:
    """Uploads a file in two parts."""
    headers = {"Authorization": f"Bearer {token}", "Tus-Resumable": "1.0.0"}
    status, told = await request(
        where, "POST", "/api/v1/uploads", {**headers, "Upload-Length": str(size), "Content-Length": "0"}
    )
    assert status == 201, f"an upload was answered with {status}"
    for start, end in ((0, size // 2), (size // 2, size)):
        part = {"Upload-Offset": str(start), "Content-Length": str(end - start)}
        part["Content-Type"] = "application/offset+octet-stream"
        status, told_then = await request(
            where, "PATCH", told["location"], {**headers, **part}, content(number, start, end - start)
        )
        assert (status, told_then["upload-offset"]) == (204, str(end)), f"a part was answered with {status}"


async def run(where: tuple[str, int], token: str, uploads: int, size: int) -> float:
    """All at once; seconds until the last was answered."""
    began = time.monotonic()
    await asyncio.gather(
        *((send_form if number % 2 else send_resumable)(where, token, number, size) for number in range(1, uploads + 1))
    )
    return time.monotonic() - began


def main() -> None:
    """Sends, and says how long it took."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    arguments.add_argument("host")
    arguments.add_argument("port", type=int)
    arguments.add_argument("--token", required=True)
    arguments.add_argument("--uploads", type=int, default=50)
    arguments.add_argument("--megabytes", type=int, default=100)
    chosen = arguments.parse_args()
    where = (chosen.host, chosen.port)
    seconds = asyncio.run(run(where, chosen.token, chosen.uploads, chosen.megabytes * MEGABYTE))
    print(json.dumps({"seconds": seconds}))


if __name__ == "__main__":
    main()
