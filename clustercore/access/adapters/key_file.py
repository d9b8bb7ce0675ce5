"""The keys of the encrypted settings, in a file outside the database: one a line, the newest first."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from cryptography.fernet import Fernet, MultiFernet

from clustercore.embedded.adapters.locks import locked
from clustercore.embedded.adapters.secrets import replace

_WAIT_SECONDS = 30.0


class KeysDamaged(Exception):
    """The file is there, but holds something that is no key; the message names it, and never what it holds."""


@dataclass(frozen=True, slots=True)
class KeyFile:
    """`settings.keys` in the folder for secrets of the hub's data directory."""

    path: Path

    def read(self) -> list[str]:
        """The keys, newest first; none where there is no file. Raises KeysDamaged, OSError."""
        try:
            keys = self.path.read_text(encoding="ascii").split()
            for key in keys:
                Fernet(key)
        except FileNotFoundError:
            return []
        except ValueError:
            # Without its cause, whose words could hold the key.
            raise KeysDamaged(f"{self.path} holds something that is no key") from None
        return keys

    def write(self, keys: Sequence[str]) -> None:
        """Puts these in the place of those that are there, at once and for this user alone (0600). Raises OSError."""
        replace(self.path, "\n".join(keys))

    @contextmanager
    def held(self) -> Iterator[None]:
        """Nobody else changes keys, or encrypts with them, meanwhile. Raises TimeoutError."""
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with locked(self.path.with_name(self.path.name + ".lock"), time.monotonic() + _WAIT_SECONDS):
            yield


def new_key() -> str:
    """256 random bits, as Fernet wants them."""
    return Fernet.generate_key().decode("ascii")


def cipher_of(keys: Sequence[str]) -> MultiFernet:
    """Encrypts with the first key, and reads what was encrypted with any."""
    return MultiFernet([Fernet(key) for key in keys])
