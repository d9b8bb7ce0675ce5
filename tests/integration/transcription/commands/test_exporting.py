"""`clustercore export` of what has a text, and of what has none."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path

import pytest
from django.utils import timezone

from clustercore.jobs.models import Job
from clustercore.terminal.domain.endings import CommandError, ExitCode
from transcription.commands import exporting

pytestmark = [pytest.mark.services, pytest.mark.django_db]


@pytest.fixture(autouse=True)
def in_touch(monkeypatch: pytest.MonkeyPatch) -> None:
    """This process is, without asking."""
    monkeypatch.setattr(exporting, "cluster", nullcontext)


def test_a_job_of_another_kind_is_said_to_be_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    job = Job.objects.create(kind="letters", title="a letter", stage="send", created=timezone.now())
    assert exporting.export([job.pk], output_dir=tmp_path) == ExitCode.FAILED
    assert f"job {job.pk} has no text" in (said := capsys.readouterr().err) and "kind 'letters'" in said
    assert list(tmp_path.iterdir()) == []


def test_a_number_that_is_no_job_is_bad_input(tmp_path: Path) -> None:
    with pytest.raises(CommandError) as refused:
        exporting.export([10**6], output_dir=tmp_path)
    assert refused.value.code == ExitCode.USAGE
