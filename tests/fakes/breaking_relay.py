"""A real TCP relay that breaks connections when told to: what a bad link does."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator


class BreakingRelay:
    """Relays 127.0.0.1:`port` to `target`; each of the first connections ends after so many bytes to the client."""

    def __init__(self, target: tuple[str, int]) -> None:
        self.target = target
        self.break_after: list[int] = []
        self.connections = 0
        self.bytes_to_client = 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(5)

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            limit = self.break_after.pop(0) if self.break_after else -1
            threading.Thread(target=self._relay, args=(client, limit), daemon=True).start()

    def _relay(self, client: socket.socket, limit: int) -> None:
        hub = socket.create_connection(self.target)
        up = threading.Thread(target=self._copy, args=(client, hub), daemon=True)
        up.start()
        self._to_client(hub, client, limit)
        for end in (client, hub):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
        up.join(5)
        client.close()
        hub.close()

    def _copy(self, source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while block := source.recv(65536):
                sink.sendall(block)

    def _to_client(self, hub: socket.socket, client: socket.socket, limit: int) -> None:
        with contextlib.suppress(OSError):
            while limit and (block := hub.recv(65536 if limit < 0 else min(65536, limit))):
                client.sendall(block)
                self.bytes_to_client += len(block)
                limit -= len(block) if limit > 0 else 0


@contextlib.contextmanager
def breaking_relay(target: tuple[str, int]) -> Iterator[BreakingRelay]:
    """A relay that ends with the context."""
    relay = BreakingRelay(target)
    try:
        yield relay
    finally:
        relay.close()
