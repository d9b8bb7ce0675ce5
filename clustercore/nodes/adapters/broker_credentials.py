"""Where the broker is and what opens it, kept out of Celery's configuration: a worker tells that to whoever asks."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from redis import CredentialProvider

from clustercore.embedded.domain.endpoints import SOCKET_PLACE, redis_credentials, redis_socket


class BrokerCredentials(CredentialProvider):
    """User and password of this process's Redis, looked up whenever a connection is made."""

    def get_credentials(self) -> tuple[str] | tuple[str, str]:
        """As redis-py sends them."""
        return redis_credentials(settings.REDIS_URL) or ("",)


def located(parameters: dict[str, Any]) -> dict[str, Any]:
    """A connection's parameters with the path of the socket, where `broker_url` left it out."""
    if parameters.get("path") == SOCKET_PLACE:
        return {**parameters, "path": redis_socket(settings.REDIS_URL)}
    return parameters
