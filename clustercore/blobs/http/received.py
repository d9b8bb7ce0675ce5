"""The file that the form of a request brought, beside the request."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from clustercore.blobs.adapters.received import ReceivedFile

SCOPE_KEY = "clustercore.received"


def received_with(scope: Mapping[str, Any]) -> ReceivedFile | None:
    """Returns the file that the form of a request brought; None when it brought none."""
    found = scope.get(SCOPE_KEY)
    return found if isinstance(found, ReceivedFile) else None
