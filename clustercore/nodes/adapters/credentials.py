"""What opens the broker, kept out of Celery's configuration, which every worker tells to whoever asks it."""

from __future__ import annotations

from django.conf import settings
from redis import CredentialProvider

from clustercore.embedded.domain.endpoints import redis_credentials, without_credentials

_PROVIDER = "clustercore.nodes.adapters.credentials:BrokerCredentials"


def broker_url(redis_url: str) -> str:
    """The URL that Celery is given: in place of what opens the server it names the class that knows it."""
    opened_by = {"credential_provider": _PROVIDER} if redis_credentials(redis_url) else {}
    return without_credentials(redis_url, **opened_by)


class BrokerCredentials(CredentialProvider):
    """User and password of this process's Redis, looked up whenever a connection is made."""

    def get_credentials(self) -> tuple[str] | tuple[str, str]:
        """As redis-py sends them."""
        return redis_credentials(settings.ENDPOINTS.redis_url) or ("",)
