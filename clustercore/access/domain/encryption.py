"""What is encrypted of a secret setting, and which names and values there may be."""

from __future__ import annotations

import json
import re

LONGEST_VALUE = 8192
"""Characters of a secret."""
_NAME = re.compile(r"[a-z][a-z0-9-]{0,79}")


class SecretRefused(Exception):
    """A name or a value that cannot be kept; the message says why. It never repeats the value."""


def checked_name(name: str) -> str:
    """The name, if it is one. Raises SecretRefused."""
    if not _NAME.fullmatch(name):
        raise SecretRefused(f"{name!r} is no name of a secret: small letters, digits and dashes, at most 80")
    return name


def checked_value(value: str) -> str:
    """The value, without the line end that a terminal or a file adds. Raises SecretRefused."""
    stripped = value.rstrip("\r\n")
    if not stripped.strip():
        raise SecretRefused("the secret is empty: nothing was changed")
    if len(stripped) > LONGEST_VALUE:
        raise SecretRefused(f"the secret has {len(stripped)} characters; {LONGEST_VALUE} are allowed")
    if not stripped.isprintable():
        raise SecretRefused("the secret holds line ends or other control characters: give it as one line")
    return stripped


def sealed(name: str, value: str) -> bytes:
    """What is encrypted: the name goes with it, so that one secret's row cannot stand in for another's."""
    return json.dumps([name, value]).encode("ascii")


def unsealed(name: str, content: bytes) -> str | None:
    """The value; None when it was encrypted as another secret's."""
    found, value = json.loads(content)
    return str(value) if found == name else None
