"""A process may open as many files as the system allows it."""

from __future__ import annotations

import errno
import os
import subprocess
import sys

import pytest

from clustercore.embedded.adapters.gateway import GatewayLimits, _Gateway
from tests.integration.embedded.servers import PROJECT

RAISE = """
import resource, sys
resource.setrlimit(resource.RLIMIT_NOFILE, (256, int(sys.argv[1])))
from clustercore.embedded.adapters.descriptors import raise_descriptor_limit
from clustercore.embedded.adapters.gateway import GatewayLimits
raised = raise_descriptor_limit()
assert resource.getrlimit(resource.RLIMIT_NOFILE) == (raised, int(sys.argv[1]))
print(raised, GatewayLimits().admission().connections)
"""


@pytest.mark.parametrize(("allowed", "connections"), [(4096, 1000), (1024, 362), (256, 16)])
def test_the_limit_is_raised_and_the_gateway_leaves_descriptors_for_the_rest(allowed: int, connections: int) -> None:
    command = [sys.executable, "-c", RAISE, str(allowed)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=PROJECT)
    assert done.stdout.split() == [str(allowed), str(connections)]


@pytest.mark.parametrize(
    ("number", "said"),
    [
        (errno.EMFILE, "for want of descriptors or memory 1"),
        (errno.ENOBUFS, "for want of descriptors or memory 1"),
        (errno.EPROTO, os.strerror(errno.EPROTO)),
    ],
)
def test_what_the_system_refuses_is_counted_by_its_reason(number: int, said: str) -> None:
    gateway = _Gateway({}, GatewayLimits())
    gateway._on_error(gateway._loop, {"exception": OSError(number, os.strerror(number))})
    assert said in gateway._refusals.take()
    gateway._loop.close()
