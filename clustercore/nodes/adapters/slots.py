"""How many slots, which are threads, a worker gets when nobody says."""

from __future__ import annotations

from typing import Any

from clustercore.config.environment import environment
from clustercore.nodes.adapters.hardware import read_gpus, usable_cores
from clustercore.nodes.domain.facts import slots_for


def set_default_concurrency(conf: Any = None, **_: Any) -> None:
    """Receiver of `celeryd_init`: as many threads as the node has slots. A given `--concurrency` still wins."""
    conf.worker_concurrency = slots_for(environment().slots, usable_cores(), read_gpus())
