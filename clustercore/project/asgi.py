"""The ASGI application of the web process."""

import os

from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "clustercore.project.settings")

import clustercore.project.celery  # noqa: F401  (without it tasks bind to Celery's default application)

_django = get_asgi_application()

from clustercore.blobs.sockets import with_uploads  # noqa: E402  (needs the applications that Django has set up)

application = with_uploads(_django)
