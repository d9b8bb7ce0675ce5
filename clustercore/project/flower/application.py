"""Flower itself, with what it cannot be told by options. Imported by Flower's own process alone."""

from __future__ import annotations

from typing import Any
from urllib.parse import unquote, urlsplit

import flower.command
from django.conf import settings
from flower.app import Flower
from tornado.httpserver import HTTPServer
from tornado.netutil import bind_unix_socket

from clustercore.embedded.domain.endpoints import celery_url


class HubFlower(Flower):  # type: ignore[misc]
    """Asks the broker with what opens it, and keeps its socket to the hub's own account."""

    broker_uri_with_password: Any = property(lambda _: counting_url(settings.REDIS_URL))
    """Flower's only use of it is to count what waits in queues: Celery's own configuration holds no password."""

    def start_http_server(self) -> Any:
        """The port it listens on; None for a unix socket, which Flower would let everybody write to."""
        if not self.options.unix_socket:
            return super().start_http_server()
        HTTPServer(self).add_socket(bind_unix_socket(self.options.unix_socket, mode=0o600))
        return None


def counting_url(redis_url: str) -> str:
    """The server as Flower's own client names it, which takes a socket's path as it stands: it may have spaces."""
    url, quoted = celery_url(redis_url), urlsplit(redis_url).path
    return url if url == redis_url else url.replace(quoted, unquote(quoted), 1)


def install() -> None:
    """Lets Flower's command start this application."""
    flower.command.Flower = HubFlower
