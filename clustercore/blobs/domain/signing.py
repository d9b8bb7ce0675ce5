"""Signed, expiring URLs: an HMAC-SHA256 over method, hash and expiry."""

from __future__ import annotations

import hashlib
import hmac
from enum import StrEnum


class Refusal(StrEnum):
    """Why a signed request is not honoured; the text that the client sees."""

    EXPIRED = "expired"
    BAD_SIGNATURE = "bad signature"


def signature(key: str, method: str, sha256: str, expires: int) -> str:
    """64 hexadecimal digits. `expires` in seconds since 1970; a signature for GET serves HEAD as well."""
    signed_method = "GET" if method == "HEAD" else method
    message = f"{signed_method}\n{sha256}\n{expires}".encode()
    return hmac.new(key.encode(), message, hashlib.sha256).hexdigest()


def signed_path(key: str, method: str, sha256: str, expires: int) -> str:
    """`/blobs/<sha256>?expires=…&signature=…`, to be put behind the hub's base URL."""
    return f"/blobs/{sha256}?expires={expires}&signature={signature(key, method, sha256, expires)}"


def refusal(key: str, method: str, sha256: str, *, expires: str, given: str, now: float) -> Refusal | None:
    """Why the request is refused, or None. `expires` and `given` come from outside, as they are.

    The signature is looked at first (in constant time), so that only who holds the key learns that it expired.
    """
    if not _is_plain_number(expires):
        return Refusal.BAD_SIGNATURE
    expected = signature(key, method, sha256, int(expires))
    if not hmac.compare_digest(expected.encode(), given.encode(errors="replace")):
        return Refusal.BAD_SIGNATURE
    return Refusal.EXPIRED if int(expires) < now else None


def _is_plain_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 12
