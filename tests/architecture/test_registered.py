"""What Django and Celery have registered keeps the rules of `registered.py`."""

from __future__ import annotations

from django.apps import apps

from clustercore.project.celery import app
from tests.architecture.registered import foreign_keys_pointing_up, ranks, tasks_under_other_names
from tests.architecture.source import ROOT


def test_foreign_keys_point_down() -> None:
    assert list(foreign_keys_pointing_up(apps.get_models(), ranks(ROOT))) == []


def test_tasks_are_named_after_their_package() -> None:
    app.loader.import_default_modules()
    assert [name for name in app.tasks if name.startswith("transcription.")]
    assert list(tasks_under_other_names(app.tasks)) == []
