"""The audit log, for administrators: who did what, and whether the log still says what was recorded."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.utils.http import urlencode
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from clustercore.access.domain.audit_chain import canonical_json
from clustercore.access.domain.roles import Permission
from clustercore.access.http.identification import require
from clustercore.access.http.refusals import RequestRefused
from clustercore.access.models import AuditEntry
from clustercore.access.selectors import audit_entries
from clustercore.access.services.audit_verification import chain_report, verify_chain

PAGE_ROWS = 50
_LONGEST_FILTER = 200


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the list is narrowed to."""

    actor: str
    action: str
    target: str

    @property
    def is_narrow(self) -> bool:
        return bool(self.actor or self.action or self.target)


@require_safe
@never_cache
def audit_page(request: HttpRequest) -> HttpResponse:
    """A page of entries, the newest first."""
    require(request, Permission.ADMINISTER)
    wanted = Wanted(*(_filter(request, name) for name in ("actor", "action", "target")))
    before = _before(request)
    report = chain_report()
    entries = audit_entries(actor=wanted.actor, action=wanted.action, target=wanted.target)
    if before is not None:
        entries = entries.filter(seq__lt=before)
    found = list(entries[: PAGE_ROWS + 1])
    rows = found[:PAGE_ROWS]
    context = {
        "wanted": wanted,
        "before": before,
        "report": report,
        "rows": [(entry, _pairs(entry)) for entry in rows],
        "more": _address(wanted, rows[-1].seq) if len(found) > PAGE_ROWS else "",
    }
    return render(request, "access/audit.html", context)


@require_POST
@never_cache
def verify_page(request: HttpRequest) -> HttpResponse:
    """Reads the whole log again, and says what it found."""
    require(request, Permission.ADMINISTER)
    report = verify_chain()
    if report.holds:
        messages.success(request, f"Read in full: {report.message}.")
    else:
        messages.error(request, f"Read in full: {report.message}.")
    return HttpResponseRedirect(reverse("access:audit"))


def _filter(request: HttpRequest, name: str) -> str:
    # PostgreSQL knows no text with a NUL in it.
    return request.GET.get(name, "").replace("\0", "").strip()[:_LONGEST_FILTER]


def _before(request: HttpRequest) -> int | None:
    given = request.GET.get("before", "")
    if not given:
        return None
    if not (given.isascii() and given.isdigit() and len(given) <= 18):
        raise RequestRefused(400, "before: not the number of an entry", param="before")
    return int(given)


def _pairs(entry: AuditEntry) -> list[tuple[str, str]]:
    """The detail as a person reads it: texts as they are, other values as JSON."""
    known = entry.detail if isinstance(entry.detail, dict) else {"": entry.detail}
    return [(name, value if isinstance(value, str) else canonical_json(value)) for name, value in known.items()]


def _address(wanted: Wanted, before: int) -> str:
    given = {name: value for name, value in asdict(wanted).items() if value}
    return f"{reverse('access:audit')}?{urlencode({**given, 'before': before})}"
