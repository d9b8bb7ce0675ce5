"""Flower itself, with what it cannot be told by options. Imported by Flower's own process alone."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import flower.command
import flower.utils.broker
from celery import Celery
from django.conf import settings
from flower.app import Flower
from flower.utils.broker import RedisBase
from kombu.exceptions import OperationalError
from redis.asyncio import Redis
from tornado.httpserver import HTTPServer
from tornado.netutil import bind_unix_socket

from clustercore.embedded.domain.endpoints import celery_url
from clustercore.nodes.adapters.transport import BROKER_ABSENCES

logger = logging.getLogger(__name__)

ABSENCES: tuple[type[Exception], ...] = (OperationalError, *BROKER_ABSENCES)
"""What it looks like when the broker is away, to whoever connects to it and to whoever is connected."""


class HubFlower(Flower):  # type: ignore[misc]
    """Asks the broker with what opens it, and keeps its socket to the hub's own account.

    Workers tell of tasks while it runs: it asks for that before anybody can see it, and again every few seconds.
    """

    broker_uri_with_password: Any = property(lambda _: celery_url(settings.REDIS_URL))
    """Flower's only use of it is to count what waits in queues: Celery's own configuration holds no password."""

    def start_http_server(self) -> Any:
        """The port it listens on; None for a unix socket, which Flower would let everybody write to."""
        if self.options.enable_events:
            tell_workers(self.capp, self.capp.control.enable_events)
        if not self.options.unix_socket:
            return super().start_http_server()
        HTTPServer(self).add_socket(bind_unix_socket(self.options.unix_socket, mode=0o600))
        return None

    def stop(self) -> None:
        """Workers need not tell of tasks any more; another Flower that runs asks for it again."""
        was_running = self.started
        super().stop()
        if was_running and self.options.enable_events:
            tell_workers(self.capp, self.capp.control.disable_events)


def tell_workers(app: Celery, message: Callable[..., Any]) -> None:
    """Sends all workers a message of Celery's remote control; while the broker is away nobody is told."""
    try:
        with app.connection_for_write() as connection:
            # Without a limit it is tried for ever, and Flower would neither start nor end.
            connection.ensure_connection(max_retries=1)
            message(connection=connection)
    except ABSENCES as absence:
        logger.warning("the workers could not be told (%s)", absence)


class SocketBroker(RedisBase):  # type: ignore[misc]
    """Counts what waits in the queues of a Redis on a socket. Flower's own knows no database but 0, and no spaces."""

    def __init__(self, broker_url: str, *arguments: Any, **options: Any) -> None:
        super().__init__(broker_url, *arguments, **options)
        self.redis = Redis.from_url(settings.REDIS_URL, socket_timeout=self.socket_timeout)


def install() -> None:
    """Lets Flower's command start this application, and count with this broker."""
    flower.command.Flower = HubFlower
    flower.utils.broker.RedisSocket = SocketBroker
