"""The Celery application: a doorbell, never the record of what work exists."""

from __future__ import annotations

import os
import sys
from typing import Any

from celery import Celery
from celery.backends.redis import RedisBackend
from celery.signals import celeryd_init
from django.conf import settings

from clustercore.config.adapters.plugins import load_module
from clustercore.config.environment import environment
from clustercore.config.interpreter import PACKAGE_ROOT
from clustercore.nodes.adapters.broker_credentials import located
from clustercore.nodes.adapters.slots import set_default_concurrency
from clustercore.nodes.adapters.transport import BROKER_ABSENCES, guard_redis
from clustercore.project.flower.process import protect_flower

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "clustercore.project.ledger_settings")

guard_redis()
search_path = list(sys.path)
app = Celery("clustercore")
# Celery puts the current directory first on the path: a stray module there would be run in place of the real one.
sys.path[:] = search_path if str(PACKAGE_ROOT) in search_path else [*search_path, str(PACKAGE_ROOT)]
app.loader.import_from_cwd = load_module  # type: ignore[method-assign, assignment]
app.loader.override_backends = {"redis": "clustercore.project.celery:Results"}
app.add_defaults(lambda: settings.CELERY)
app.autodiscover_tasks()
app.autodiscover_tasks(related_name="workflows")
app.steps["worker"].add("clustercore.nodes.adapters.bootstep:AgentStep")
celeryd_init.connect(set_default_concurrency)
protect_flower(environment().data_dir)


class Results(RedisBackend):
    """Where Celery keeps what chords wait for: on the broker's server, found, opened and missed as the broker is."""

    def exception_safe_to_retry(self, exc: Exception) -> bool:
        return isinstance(exc, BROKER_ABSENCES)

    def _params_from_url(self, url: str, defaults: dict[str, Any]) -> dict[str, Any]:
        return located(super()._params_from_url(url, defaults))  # type: ignore[misc]
