"""What `up --listen` lets in follows from the server that it leads to."""

from __future__ import annotations

import pytest

from clustercore.embedded.adapters.gateway import GatewayLimits
from clustercore.project.command_line.listening import gateway_limits

pytestmark = [pytest.mark.services, pytest.mark.usefixtures("transactional_db")]


def test_the_ledgers_server_is_asked_what_it_takes() -> None:
    assert gateway_limits() == GatewayLimits.for_database(connections=300, login_seconds=15)
