"""What `up --listen` lets in follows from the server that it leads to."""

from __future__ import annotations

import pytest

from clustercore.project.command_line.hub_ledger import login_limits

pytestmark = [pytest.mark.services, pytest.mark.usefixtures("transactional_db")]


def test_the_ledgers_server_is_asked_what_it_takes() -> None:
    assert login_limits() == (300, 15)
