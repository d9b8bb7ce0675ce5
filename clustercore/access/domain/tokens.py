"""What a token looks like and what is kept of it."""

from __future__ import annotations

import hashlib

START = "cc_"
SHOWN_LETTERS = 10


def digest_of(token: str) -> str:
    """What is kept of a token: SHA-256. It is 256 random bits, so that a fast hash is enough."""
    return hashlib.sha256(token.encode()).hexdigest()
