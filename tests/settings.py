"""The product's settings over a data directory of the test session's own; importing them starts nothing.

Processes that the tests start inherit the directory by the environment. It goes when the
process that made it ends.
"""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from pathlib import Path


def _session_directory() -> str:
    """Its own mode lets the servers' account pass through it; no other directory is touched."""
    directory = Path(tempfile.mkdtemp(prefix="clustercore-tests-"))
    directory.chmod(0o711)
    atexit.register(_remove, directory, os.getpid())
    return str(directory)


def _remove(directory: Path, maker: int) -> None:
    if os.getpid() == maker:
        shutil.rmtree(directory, ignore_errors=True)


# Each of the processes that share the tests has servers of its own; what it starts inherits both variables.
WORKER = os.environ.get("PYTEST_XDIST_WORKER", "")
if os.environ.get("CLUSTERCORE_TEST_WORKER") != WORKER:
    os.environ["CLUSTERCORE_TEST_WORKER"] = WORKER
    os.environ["CLUSTERCORE_TEST_DATA_DIR"] = _session_directory()
    for variable in ("DATABASE_URL", "REDIS_URL"):
        os.environ.pop(variable, None)
os.environ["CLUSTERCORE_DATA_DIR"] = os.environ["CLUSTERCORE_TEST_DATA_DIR"]

from clustercore.embedded.selectors import signing_key  # noqa: E402
from clustercore.project.settings import *  # noqa: E402, F403 - the directory must be set before

# The tests ask for pages in their own process too.
SECRET_KEY = signing_key(DATA_DIR)  # noqa: F405

# What Django's test client calls this server.
ALLOWED_NAMES = ("testserver",)

# A hash that is slow on purpose costs hundreds of tests half a second each.
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]

# A test client makes the middleware anew: looking up each static file in advance is most of what a request costs.
WHITENOISE_AUTOREFRESH = True
