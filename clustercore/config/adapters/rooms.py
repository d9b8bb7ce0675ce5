"""Which rooms there are beside those of the package, for what must not wait for the settings: the list of commands."""

from __future__ import annotations

import json
import os
from contextlib import suppress


def further_rooms() -> tuple[str, ...]:
    """Returns the packages that `CLUSTERCORE_ROOMS` names; none where it cannot be read, which the settings tell."""
    with suppress(ValueError):
        named = json.loads(os.environ.get("CLUSTERCORE_ROOMS", "[]"))
        if isinstance(named, list) and all(isinstance(name, str) for name in named):
            return tuple(named)
    return ()
