"""Every door of the product says what is wrong with the addresses of the servers, and never their passwords."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.integration.embedded.servers import PROJECT

DOORS = [
    pytest.param(["manage.py", "check"], id="manage.py"),
    pytest.param(["-m", "celery", "-A", "clustercore", "report"], id="celery"),
    pytest.param(["-m", "clustercore.project.command_line.main", "jobs"], id="clustercore"),
]


@pytest.mark.parametrize("words", DOORS)
@pytest.mark.parametrize(
    ("variable", "url", "said"),
    [
        ("DATABASE_URL", "postgresql://u:hunter2/x@h/d", "%2F"),
        ("REDIS_URL", "sentinel://:hunter2@a;sentinel://b", "Sentinel is not supported yet"),
    ],
)
def test_an_address_that_cannot_serve_is_named_with_the_remedy(
    words: list[str], variable: str, url: str, said: str
) -> None:
    environment = {**os.environ, "DJANGO_SETTINGS_MODULE": "clustercore.project.settings", variable: url}
    done = subprocess.run(
        [sys.executable, *words], env=environment, cwd=PROJECT, capture_output=True, text=True, check=False
    )
    assert done.returncode != 0
    assert variable in done.stderr and said in done.stderr
    assert "hunter2" not in done.stderr + done.stdout
