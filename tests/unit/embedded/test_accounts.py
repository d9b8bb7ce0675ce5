"""As whom the servers run when root starts them."""

from __future__ import annotations

import pytest

from clustercore.embedded.domain.accounts import Account, choose_account, may_enter

POSTGRES = Account("postgres", 101, 104)
OURS = Account("clustercore", 990, 990)
SOMEBODY = Account("somebody", 1000, 1000)
ROOT = Account("root", 0, 0)


def test_an_account_of_our_own_is_preferred() -> None:
    assert choose_account({"postgres": POSTGRES, "clustercore": OURS}, None) == OURS


def test_that_of_an_installed_postgres_will_do() -> None:
    assert choose_account({"postgres": POSTGRES, "nobody": SOMEBODY}, None) == POSTGRES


def test_without_either_one_must_be_made() -> None:
    assert choose_account({"nobody": SOMEBODY}, None) is None


def test_data_stay_with_the_account_that_has_them() -> None:
    assert choose_account({"clustercore": OURS}, SOMEBODY) == SOMEBODY


def test_data_of_root_do_not_count() -> None:
    assert choose_account({"clustercore": OURS}, ROOT) == OURS


@pytest.mark.parametrize(
    ("mode", "owner", "group", "allowed"),
    [
        (0o700, 101, 0, True),
        (0o077, 101, 104, False),
        (0o710, 0, 104, True),
        (0o701, 0, 104, False),
        (0o701, 0, 0, True),
        (0o700, 0, 0, False),
    ],
)
def test_the_first_class_that_fits_decides(mode: int, owner: int, group: int, allowed: bool) -> None:
    assert may_enter(mode, owner, group, POSTGRES) is allowed
