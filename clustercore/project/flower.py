"""Makes `celery -A clustercore flower` safe as it is: on loopback and behind a password, unless told otherwise."""

from __future__ import annotations

import logging
import sys
from pathlib import Path

from clustercore.embedded.adapters import secrets
from clustercore.embedded.domain.layout import Layout

USER = "admin"
OPTIONS_MODULE = "flower.options"

logger = logging.getLogger(__name__)


def protect_flower(data_directory: Path) -> None:
    """Sets Flower's defaults, which its own flags and `FLOWER_*` variables still override.

    Celery imports Flower's command before the application, so its options are there exactly when `celery` runs.
    """
    if OPTIONS_MODULE not in sys.modules:
        return
    options = sys.modules[OPTIONS_MODULE].options
    path = Layout(data_directory).secrets / "flower"
    options.address = "127.0.0.1"
    options.basic_auth = [f"{USER}:{secrets.password(path)}"]
    if "flower" in sys.argv:
        logger.warning("Flower: user %s, password in %s", USER, path)
