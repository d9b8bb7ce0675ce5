"""The ASGI application of the web process."""

import os
from typing import Any

from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "clustercore.project.settings")

import clustercore.project.celery  # noqa: F401  (without it tasks bind to Celery's default application)
from clustercore.project.web import take_signing_key

take_signing_key()
_django = get_asgi_application()

# What follows needs the applications that Django has set up.
from clustercore.live.sockets import LiveConsumer  # noqa: E402
from clustercore.project.gate.wrapper import Gate  # noqa: E402

application: Any = Gate(_django, {"/live": LiveConsumer.as_asgi()})
