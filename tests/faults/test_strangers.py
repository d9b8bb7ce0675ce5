"""Strangers without credentials hold on to the one port, from the very address of a node."""

from __future__ import annotations

import time
from collections.abc import Callable
from urllib.parse import urlsplit

import httpx
import pytest

from clustercore.blobs.services import establish_hub
from clustercore.embedded.adapters.gateway import public_urls, running_gateway, upstreams_of
from clustercore.embedded.selectors import resolve_endpoints
from tests.cast import PI
from tests.faults.cluster import Cluster
from tests.faults.conftest import Record
from tests.faults.recording import Recording
from tests.faults.strangers import strangers
from tests.faults.test_far_nodes import far_settings, web_process

pytestmark = [pytest.mark.services, pytest.mark.fault, pytest.mark.timeout(300)]

STRANGERS = 1000
PAGE_SECONDS = 1.0
LOCAL, ELSEWHERE = "127.0.0.1", "127.0.0.2"


def seconds_of_a_page(address: tuple[str, int], source: str) -> float:
    """Until the sign-in page has come; the quicker of three, because a busy machine proves nothing."""
    seconds = []
    for _ in range(3):
        started = time.monotonic()
        with httpx.Client(transport=httpx.HTTPTransport(local_address=source), timeout=10) as client:
            client.get(f"http://{address[0]}:{address[1]}/sign-in/").raise_for_status()
        seconds.append(time.monotonic() - started)
    return min(seconds)


def test_a_thousand_strangers_shut_out_nobody(
    cluster: Cluster, recordings: Callable[[str], Recording], record: Record
) -> None:
    endpoints = resolve_endpoints(
        cluster.data_directory, cluster.environment["DATABASE_URL"], cluster.environment["REDIS_URL"]
    )
    with (
        web_process(cluster) as pages,
        running_gateway(LOCAL, 0, upstreams_of(endpoints, pages)) as address,
        strangers(address, STRANGERS),
    ):
        establish_hub(cluster.data_directory, f"http://{pages.host}:{pages.port}")
        cluster.far_urls = public_urls(endpoints, *address)
        assert urlsplit(cluster.far_urls[0]).hostname == LOCAL
        cluster.stop(*cluster.workers)
        cluster.start(PI, **far_settings(cluster))
        job = cluster.submit(recordings("single"))
        cluster.until_done(job)
        seconds = {source: seconds_of_a_page(address, source) for source in (LOCAL, ELSEWHERE)}
        cluster.stop(PI)
    record("strangers", strangers=STRANGERS, page_seconds=seconds, state=job.state)
    assert max(seconds.values()) < PAGE_SECONDS
