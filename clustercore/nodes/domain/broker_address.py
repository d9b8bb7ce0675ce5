"""The broker's address as Celery is given it; reading the settings needs no Redis client."""

from __future__ import annotations

from clustercore.embedded.domain.endpoints import redis_credentials, without_credentials

_PROVIDER = "clustercore.nodes.adapters.broker_credentials:BrokerCredentials"


def broker_url(redis_url: str) -> str:
    """The URL that Celery is given: in place of what opens the server it names the class that knows it."""
    opened_by = {"credential_provider": _PROVIDER} if redis_credentials(redis_url) else {}
    return without_credentials(redis_url, **opened_by)
