from __future__ import annotations

import io
from importlib.metadata import PackageNotFoundError

import pytest
from rich.console import Console

from clustercore.project.command_line import screens
from clustercore.project.command_line.screens import UpState, up_screen

STATE = UpState(
    pid=1,
    phase="ready",
    data_dir="/data",
    web_url="http://127.0.0.1:8000",
    setup_path="/setup/a-secret-link/",
    public_url="http://192.168.1.10:7420",
    listens_on="192.168.1.10:7420",
    database_url="postgresql://clustercore:a-secret-password@192.168.1.10:7420/clustercore",
    redis_url="redis://:another-secret-password@192.168.1.10:7420/0",
)


def shown(*, for_a_log: bool) -> str:
    text = io.StringIO()
    Console(file=text, width=300).print(up_screen(STATE, for_a_log=for_a_log))
    return text.getvalue()


@pytest.mark.parametrize("secret", ["a-secret-link", "a-secret-password", "another-secret-password"])
def test_what_opens_something_is_shown_to_eyes_and_written_to_no_log(secret: str) -> None:
    assert secret in shown(for_a_log=False)
    assert secret not in shown(for_a_log=True)
    assert "type `clustercore up` in a terminal" in shown(for_a_log=True)


def test_a_hub_that_runs_from_a_clone_says_how_a_clone_joins(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing() -> None:
        raise PackageNotFoundError("clustercore")

    monkeypatch.setattr(screens, "own_wheel", missing)
    text = shown(for_a_log=False)
    assert "in a clone of this version" in text
    assert "/bin/pip install '.[node]' && DATABASE_URL='postgresql://" in text
