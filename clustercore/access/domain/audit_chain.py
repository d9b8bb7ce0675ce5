"""The chain of the audit log: what an entry says in bytes, what its digest is, and where a chain is broken."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

GENESIS = "0" * 64
"""What the first entry names as the digest before it."""
LONGEST_TEXT = 500

_SECRET_NAMES = re.compile(r"password|passwd|secret|token$|credential|authorization|private_key|api_key", re.IGNORECASE)
_TOKENS = re.compile(r"(cc_)[A-Za-z0-9_-]{8,}")
_MASK = "•••"


@dataclass(frozen=True, slots=True)
class Entry:
    """One deed. `detail` is what a JSON document reads as; `at` is aware."""

    seq: int
    at: datetime
    actor: str
    actor_id: int | None
    action: str
    target: str
    detail: Mapping[str, Any]
    previous: str
    digest: str = ""


@dataclass(frozen=True, slots=True)
class Head:
    """Where the chain ends; also a checkpoint, which is where it once ended."""

    seq: int
    digest: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Break:
    """The first entry at which the chain does not hold, and why."""

    seq: int
    reason: str

    def __str__(self) -> str:
        return f"entry {self.seq}: {self.reason}"


NOTHING = Head(0, GENESIS, datetime(1970, 1, 1, tzinfo=UTC))
"""The end of a chain without entries."""


def canonical_json(value: Any) -> str:
    """The one spelling of a JSON value: sorted names, no spaces, no escapes beyond the necessary ones."""
    return json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"), allow_nan=False)


def canonical(entry: Entry) -> bytes:
    """Everything that an entry says but its own digest, in one spelling."""
    fields = [
        entry.seq,
        moment(entry.at),
        entry.actor,
        entry.actor_id,
        entry.action,
        entry.target,
        entry.detail,
        entry.previous,
    ]
    return canonical_json(fields).encode()


def digest_of(entry: Entry) -> str:
    """SHA-256 of what an entry says, the digest before it included: 64 hexadecimal letters."""
    return hashlib.sha256(canonical(entry)).hexdigest()


def moment(at: datetime) -> str:
    """A time in the one spelling that entries and checkpoints use: UTC, microseconds."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def first_break(
    entries: Iterable[Entry], after: Head = NOTHING, checkpoints: Sequence[Head] = (), *, to_the_end: bool = True
) -> Break | Head:
    """The first entry that does not follow from the one before, or where the chain ends when all do.

    `entries` come in the order of `seq` and begin behind `after`. A checkpoint names a digest that its entry must
    have; one whose entry is missing, because `entries` end before it, is a break if they go `to_the_end` of the log.
    Checkpoints up to `after` are not looked at.
    """
    expected: dict[int, set[str]] = {}
    for checkpoint in checkpoints:
        if checkpoint.seq > after.seq:
            expected.setdefault(checkpoint.seq, set()).add(checkpoint.digest)
    head = after
    for entry in entries:
        reason = _why_not(entry, head, expected.get(entry.seq))
        if reason:
            return Break(head.seq + 1, reason)
        head = Head(entry.seq, entry.digest, entry.at)
    beyond = max(expected, default=0)
    if to_the_end and beyond > head.seq:
        return Break(head.seq + 1, f"the log ends before it, but a checkpoint has seen entry {beyond}")
    return head


def _why_not(entry: Entry, head: Head, expected: set[str] | None) -> str:
    if entry.seq != head.seq + 1:
        return f"it is missing: entry {entry.seq} follows entry {head.seq}"
    if entry.previous != head.digest:
        return "it does not continue the entry before it"
    if entry.digest != digest_of(entry):
        return "its content is not what was recorded"
    if expected and expected != {entry.digest}:
        return "it is not the entry that a checkpoint has seen: the log was rewritten"
    return ""


def clean_text(text: str) -> str:
    """Text that PostgreSQL takes and that carries no token: no NUL, no half characters, not without end."""
    spelled = text.encode("utf-8", "backslashreplace").decode().replace("\0", "\\x00")
    return _TOKENS.sub(rf"\1{_MASK}", spelled)[:LONGEST_TEXT]


def clean_detail(value: Any, name: str = "") -> Any:
    """The same JSON value, masked: what is called a secret, and texts that hold a token, never enter the log."""
    if value is not None and not isinstance(value, bool) and _SECRET_NAMES.search(name):
        return _MASK
    if isinstance(value, str):
        return clean_text(value)
    if isinstance(value, Mapping):
        return {clean_text(str(key)): clean_detail(inner, str(key)) for key, inner in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [clean_detail(inner) for inner in (value if isinstance(value, list | tuple) else sorted(value))]
    return value
