"""What the gateway lets through fits the server that it leads to."""

from __future__ import annotations

import pytest

from clustercore.embedded.adapters.gateway import GatewayLimits
from clustercore.embedded.adapters.postgres import MOST_CONNECTIONS
from clustercore.embedded.domain.protocols import Protocol


def through(limits: GatewayLimits) -> int:
    quotas = (limits.newcomers, limits.encrypted, limits.settled)
    return sum(of_stage[Protocol.POSTGRES].total for of_stage in quotas)


@pytest.mark.parametrize("connections", [8, 20, 100, MOST_CONNECTIONS, 5000])
def test_a_server_keeps_connections_for_the_hub_itself(connections: int) -> None:
    assert through(GatewayLimits.for_database(connections, 60)) <= connections * 3 / 4


def test_a_larger_server_changes_nothing() -> None:
    larger, usual = GatewayLimits.for_database(5000, 60), GatewayLimits()
    assert (larger.newcomers, larger.encrypted, larger.settled) == (
        usual.newcomers,
        usual.encrypted,
        usual.settled,
    )


def test_what_encrypts_is_doubted_for_longer_than_the_server_waits() -> None:
    for seconds in (1, 60, 600):
        assert GatewayLimits.for_database(100, seconds).encrypted_seconds > max(seconds, 60)
