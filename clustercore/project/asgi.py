"""The ASGI application of the web process."""

import os

from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "clustercore.project.settings")

import clustercore.project.celery  # noqa: E402, F401  (without it tasks bind to Celery's default application)

application = get_asgi_application()
