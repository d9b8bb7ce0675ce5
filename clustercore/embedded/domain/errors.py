"""What can go wrong with the embedded servers, said so that a person can act on it."""

from __future__ import annotations


class EmbeddedError(RuntimeError):
    """The embedded servers cannot run or cannot be reached; the message names the remedy."""
