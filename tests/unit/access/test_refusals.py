"""How reasons that services raise read as answers."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from clustercore.access.domain import errors
from clustercore.access.domain.errors import Conflict, NotFound, Refused, Unavailable
from clustercore.access.http.refusals import STATUSES, RequestRefused, refusal_of, status_of
from clustercore.blobs.domain.errors import StoreFull
from clustercore.jobs.services.submit import BacklogFull, KeyReused


def below(kind: type[Refused]) -> Iterator[type[Refused]]:
    for one in kind.__subclasses__():
        yield one
        yield from below(one)


def test_every_kind_of_reason_has_a_status() -> None:
    kinds = {kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, Refused)}
    assert kinds - {Refused} == STATUSES.keys()


def test_every_reason_of_every_room_is_of_a_kind() -> None:
    found = set(below(Refused))
    assert {BacklogFull, StoreFull} <= found
    assert all(any(issubclass(one, kind) for kind in STATUSES) for one in found)


def test_a_reason_of_a_room_is_answered_as_its_kind_with_its_own_word_field_and_wait() -> None:
    reused, full = refusal_of(KeyReused(7)), refusal_of(BacklogFull(9, 8, retry_after=30))
    assert reused is not None and full is not None
    assert (reused.status, reused.code, reused.param) == (409, "idempotency_key_reused", "Idempotency-Key")
    assert (full.status, full.code, full.retry_after) == (503, "backlog_full", 30)
    assert full.body["error"]["type"] == "service_unavailable"


def test_a_class_says_how_long_to_wait_where_nobody_says_otherwise() -> None:
    assert (StoreFull("full").retry_after, StoreFull("full", retry_after=5).retry_after) == (60, 5)
    assert Conflict("no").retry_after is None


@pytest.mark.parametrize(("error", "status"), [(NotFound("none"), 404), (Unavailable("away"), 503)])
def test_a_kind_is_its_status(error: Refused, status: int) -> None:
    assert status_of(error) == status


def test_what_an_edge_refuses_stays_as_it_is_and_what_nobody_foresaw_is_none() -> None:
    refused = RequestRefused(405, "no such method")
    assert refusal_of(refused) is refused
    assert refusal_of(ValueError("a bug")) is None
