"""The product's settings with the benchmark's own addresses, and no limit on one person's requests."""

from __future__ import annotations

from clustercore.project.settings import *  # noqa: F403

ROOT_URLCONF = "benchmarks.lists_urls"
REQUESTS_PER_MINUTE = 10**9
