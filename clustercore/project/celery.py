"""The Celery application: a doorbell, never the record of what work exists."""

from __future__ import annotations

import os

from celery import Celery
from celery.signals import celeryd_init

from clustercore.config.environment import environment
from clustercore.nodes.adapters.concurrency import set_default_concurrency
from clustercore.nodes.adapters.transport import guard_redis
from clustercore.project.flower import protect_flower

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "clustercore.project.settings")

guard_redis()
app = Celery("clustercore")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
app.autodiscover_tasks(related_name="workflows")
app.steps["worker"].add("clustercore.nodes.adapters.bootstep:AgentStep")
celeryd_init.connect(set_default_concurrency)
protect_flower(environment().data_dir)
