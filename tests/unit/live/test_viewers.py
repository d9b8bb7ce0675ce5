"""Who looks on is written into a topic's key, and read back."""

from __future__ import annotations

import pytest

from clustercore.access.domain.identity import ANONYMOUS, Identity
from clustercore.access.domain.roles import Permission, Role
from clustercore.live.domain.viewers import viewer_key, viewer_of

OTTO = Identity(3, "otto", Role.OPERATOR)


@pytest.mark.parametrize(
    "identity",
    [
        OTTO,
        ANONYMOUS,
        Identity(3, "otto", Role.OPERATOR, frozenset()),
        Identity(3, "otto", Role.OPERATOR, frozenset({Permission.VIEW, Permission.SUBMIT})),
        Identity(4, "nobody yet", None),
    ],
)
def test_the_loader_reads_back_what_the_person_may_do(identity: Identity) -> None:
    read, key = viewer_of(viewer_key(identity, "failed@once"))
    assert (read.user_id, read.permissions, key) == (identity.user_id, identity.permissions, "failed@once")


def test_a_token_that_allows_less_sees_another_list_than_its_owner() -> None:
    narrow = Identity(3, "otto", Role.OPERATOR, frozenset({Permission.VIEW}))
    assert viewer_key(OTTO, "") != viewer_key(narrow, "")
