"""The audit log and the secrets at a terminal: real processes, as a person uses them."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from clustercore.embedded.selectors import resolve_endpoints
from clustercore.embedded.services import stop
from tests.integration.project.test_command_line import Terminal, a_terminal

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="a hub needs Linux or macOS")
NAME, VALUE = "model-download-token", "hf_typedAtTheTerminal"


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Terminal]:
    made = a_terminal(tmp_path_factory.mktemp("home"))
    try:
        started = made.type("up", "-d", "--no-node", "--no-flower")
        assert started.returncode == 0, started.stderr
        yield made
    finally:
        made.type("down")
        stop(made.data_dir)
        shutil.rmtree(made.data_dir.parent, ignore_errors=True)


def test_a_secret_is_set_listed_rotated_and_removed_and_never_shown(hub: Terminal) -> None:
    said = [
        hub.type("secrets", "set", NAME, typed=VALUE + "\n"),
        hub.type("secrets"),
        hub.type("secrets", "list", "--json"),
        hub.type("secrets", "rotate"),
        hub.type("audit", "show"),
        hub.type("secrets", "rm", NAME),
    ]
    assert [one.returncode for one in said] == [0] * 6, [one.stderr for one in said]
    assert VALUE not in "".join(one.stdout + one.stderr for one in said)
    [note] = json.loads(said[2].stdout)
    assert note["name"] == NAME
    assert hub.type("secrets", "rm", NAME).returncode == 2
    actions = [entry["action"] for entry in hub.read("audit", "show", "--target", NAME, "--json")]
    assert actions == ["secret.removed", "secret.set"]


@pytest.mark.parametrize(
    ("text", "words"),
    [(VALUE, ("secrets", "set", "no-such-secret")), ("two\nlines", ("secrets", "set", NAME))],
)
def test_what_cannot_be_set_is_bad_input_and_sets_nothing(hub: Terminal, text: str, words: tuple[str, ...]) -> None:
    refused = hub.type(*words, typed=text)
    assert refused.returncode == 2
    assert "Traceback" not in refused.stderr


def test_a_log_that_was_changed_ends_verify_with_1_and_the_first_bad_entry(hub: Terminal, tmp_path: Path) -> None:
    assert hub.type("secrets", "set", NAME, typed=VALUE).returncode == 0
    elsewhere = tmp_path / "elsewhere.jsonl"
    elsewhere.write_text(hub.type("audit", "checkpoint").stdout)
    assert hub.type("audit", "verify", "--against", str(elsewhere)).returncode == 0

    with psycopg.connect(resolve_endpoints(hub.data_dir, None, None).database_url, autocommit=True) as link:
        [last] = link.execute("SELECT max(seq) FROM access_auditentry").fetchone() or [0]
        link.execute("ALTER TABLE access_auditentry DISABLE TRIGGER access_audit_rows_stay")
        link.execute("DELETE FROM access_auditentry WHERE seq = %s", [last])

    found = hub.type("audit", "verify", "--json")
    assert found.returncode == 1
    assert f"entry {last}: the log ends before it" in found.stderr
    told = json.loads(found.stdout)
    assert (told["holds"], told["first_bad"]) == (False, last)

    # A new file of checkpoints, as after a database was restored: only what was kept elsewhere still tells.
    checkpoints = hub.data_dir / "audit" / "checkpoints.jsonl"
    checkpoints.rename(checkpoints.with_suffix(".before"))
    assert hub.type("audit", "checkpoint").returncode == 0
    assert hub.type("audit", "verify").returncode == 0
    assert hub.type("audit", "verify", "--against", str(elsewhere)).returncode == 1


def test_without_a_cluster_the_answer_is_3(tmp_path: Path) -> None:
    fresh = a_terminal(tmp_path)
    assert fresh.type("audit", "verify").returncode == 3
    shutil.rmtree(fresh.data_dir.parent)
