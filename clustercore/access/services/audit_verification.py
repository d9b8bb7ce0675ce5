"""Does the audit log still say what was recorded? Against its own chain, and against the checkpoints beside it."""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.utils import timezone

from clustercore.access.adapters.checkpoint_file import CheckpointDamaged
from clustercore.access.domain.audit_chain import NOTHING, Break, Entry, Head, first_break, moment
from clustercore.access.models import AuditEntry
from clustercore.access.services.audit_checkpoints import checkpoint_file, note_checkpoint, note_checkpoint_when_due

ROWS_AT_ONCE = 20_000
"""How many entries one call of `chain_state` reads at most."""
_PAGE = 2000
_FIELDS = ("seq", "at", "actor", "actor_id", "action", "target", "detail", "previous", "digest")


@dataclass(frozen=True, slots=True, kw_only=True)
class ChainReport:
    """What a verification found. `entries` were read, of `checkpoints` each agreed; None: this machine keeps none."""

    checked: datetime
    entries: int
    checkpoints: int | None
    found: Break | None = None
    trouble: str = ""
    """Why the checkpoints could not be compared."""
    complete: bool = True

    @property
    def holds(self) -> bool:
        return self.found is None and not self.trouble

    @property
    def message(self) -> str:
        if self.found is not None:
            return f"the audit log was changed: {self.found}"
        if self.trouble:
            return self.trouble
        if not self.complete:
            return f"entries 1 to {self.entries} hold; the others are still to be read"
        if not self.entries:
            return "the log is empty"
        return f"entries 1 to {self.entries} hold, and {self._beside}"

    @property
    def _beside(self) -> str:
        if self.checkpoints is None:
            return "no checkpoints are kept here"
        return "1 checkpoint agrees" if self.checkpoints == 1 else f"{self.checkpoints} checkpoints agree"


class _Known:
    """How far this process has verified the log, and what it found there."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.head: Head = NOTHING
        self.checkpoints, self.offset = 0, 0
        self.report: ChainReport | None = None

    def forget(self) -> None:
        self.head, self.checkpoints, self.offset = NOTHING, 0, 0


_known = _Known()


def verify_chain(elsewhere: Sequence[Head] = ()) -> ChainReport:
    """Reads the whole log, compares it with every checkpoint, and notes a new one where all holds.

    `elsewhere` are checkpoints that were kept somewhere else. Raises OSError.
    """
    with _known.lock:
        _known.forget()
        _known.report = report = _verified(limit=None, elsewhere=elsewhere)
    if report.holds and checkpoint_file().is_kept:
        note_checkpoint()
    return report


def chain_report() -> ChainReport:
    """What is known of the log: only what was added since this process last looked is read, in bounded bites."""
    with _known.lock:
        _known.report = report = _verified(limit=ROWS_AT_ONCE)
    note_checkpoint_when_due()
    return report


def chain_state() -> tuple[bool, str]:
    """Whether the audit log holds as far as it was read, and a sentence about it; cheap enough for every scrape."""
    report = chain_report()
    return report.holds, report.message


def _verified(limit: int | None, elsewhere: Sequence[Head] = ()) -> ChainReport:
    file, start = checkpoint_file(), _known.head
    checkpoints, length, trouble = list[Head](), _known.offset, ""
    try:
        # Before the entries: a checkpoint noted meanwhile may be of an entry that this reading does not see.
        checkpoints, length = file.read(_known.offset)
    except CheckpointDamaged as damage:
        trouble = str(damage)
    kept, compared = _known.checkpoints + len(checkpoints), [*checkpoints, *elsewhere]
    found = _start_is_gone(start) or first_break(_entries(start, limit), start, compared, to_the_end=False)
    complete = isinstance(found, Head) and not AuditEntry.objects.filter(seq__gt=found.seq).exists()
    if isinstance(found, Head) and complete:
        found = first_break((), found, compared)
    if isinstance(found, Head):
        if file.is_kept and found.seq and not kept and not trouble:
            trouble = f"the log has entries, but {file.path} has no checkpoints: `clustercore audit --help` says more"
        _known.head = found
        if complete and not trouble:
            _known.checkpoints, _known.offset = kept, length
    return ChainReport(
        checked=timezone.now(),
        entries=_known.head.seq,
        checkpoints=kept + len(elsewhere) if file.is_kept or elsewhere else None,
        found=found if isinstance(found, Break) else None,
        trouble=trouble,
        complete=complete,
    )


def _start_is_gone(start: Head) -> Break | None:
    """An entry that was there when this process last looked must be there still."""
    if start.seq and not AuditEntry.objects.filter(seq=start.seq, digest=start.digest).exists():
        return Break(start.seq, f"it was there when it was last checked ({moment(start.at)}), and is gone or changed")
    return None


def _entries(after: Head, limit: int | None) -> Iterator[Entry]:
    """Page by page, because a cursor of the server's own does not outlive a transaction behind a pooler."""
    seq, left = after.seq, math.inf if limit is None else limit
    while left > 0:
        rows = AuditEntry.objects.filter(seq__gt=seq).order_by("seq").values_list(*_FIELDS)
        page = [Entry(*row) for row in rows[: int(min(left, _PAGE))]]
        yield from page
        if len(page) < _PAGE:
            return
        seq, left = page[-1].seq, left - len(page)
