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
from channels.routing import ProtocolTypeRouter  # noqa: E402

from clustercore.blobs.sockets import with_uploads  # noqa: E402
from clustercore.live.sockets import LiveConsumer  # noqa: E402
from clustercore.project.middleware.arrivals import guarded_uploads  # noqa: E402
from clustercore.project.middleware.handshakes import guarded  # noqa: E402
from clustercore.project.middleware.turns import in_turn, with_visitors  # noqa: E402

application: Any = with_visitors(
    ProtocolTypeRouter(
        {
            "http": guarded_uploads(with_uploads(in_turn(_django))),
            "websocket": guarded({"/live": LiveConsumer.as_asgi()}),
        }
    )
)
