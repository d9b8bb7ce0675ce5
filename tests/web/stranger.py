"""What somebody without credentials tries from another machine: `stranger.py ADDRESS PORT DATABASE_USER PORTS…`.

Prints JSON: the ports that take a connection, and what PostgreSQL, Redis and the pages behind PORT answer.
"""

from __future__ import annotations

import json
import socket
import sys

import httpx
import psycopg

PAGES = (
    "/",
    "/jobs/",
    "/admin/",
    "/flower/",
    "/people/",
    "/api/v1/jobs",
    "/api/v1/nodes",
    "/v1/models",
    "/metrics",
    f"/blobs/{'a' * 64}",
    "/healthz",
    "/sign-in/",
)
COMMANDS = ("PING", "KEYS *", "CONFIG GET *", "LRANGE cap.stt 0 -1", "SUBSCRIBE celery")
HANDSHAKE = {
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
}


def is_open(address: str, port: int) -> bool:
    try:
        socket.create_connection((address, port), timeout=2).close()
    except OSError:
        return False
    return True


def redis_says(address: str, port: int, command: str) -> str:
    with socket.create_connection((address, port), timeout=5) as link:
        link.sendall("".join([f"*{len(command.split())}\r\n", *(bulk(word) for word in command.split())]).encode())
        return link.recv(200).decode(errors="replace").removeprefix("-").split()[0]


def bulk(word: str) -> str:
    return f"${len(word)}\r\n{word}\r\n"


def postgres_says(address: str, port: int, user: str) -> str:
    try:
        psycopg.connect(host=address, port=port, user=user, dbname="postgres", password="guessed", connect_timeout=5)
    except psycopg.OperationalError as refusal:
        return str(refusal)
    return "come in"


def web_says(address: str, port: int) -> dict[str, int]:
    with httpx.Client(base_url=f"http://{address}:{port}", timeout=20) as client:
        found = {page: client.get(page).status_code for page in PAGES}
        return found | {"/live": client.get("/live", headers=HANDSHAKE).status_code}


def main(address: str, port: int, user: str, ports: list[int]) -> None:
    seen = {
        "open": [one for one in ports if is_open(address, one)],
        "redis": {command: redis_says(address, port, command) for command in COMMANDS},
        "postgres": postgres_says(address, port, user),
        "web": web_says(address, port),
    }
    sys.stdout.write(json.dumps(seen))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), sys.argv[3], [int(word) for word in sys.argv[4:]])
