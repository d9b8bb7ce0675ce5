"""The hub's own models, a file at a time."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace

import pytest
from django.http import HttpResponse
from django.test import RequestFactory

from clustercore.nodes import views


def test_a_file_that_is_removed_as_it_is_asked_for_is_not_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub = SimpleNamespace(hub=SimpleNamespace(signing_key="key"), now=datetime.now(UTC))
    monkeypatch.setattr(views, "hub_now", lambda: hub)
    monkeypatch.setattr(views, "refusal", lambda *words, **options: None)
    monkeypatch.setattr(views, "stored_file", lambda *words: (tmp_path / "model.bin", "0" * 64))
    request = RequestFactory().get("/models/faster-whisper/own/model.bin")
    answer = views.hub_model(request, "faster-whisper", "own", "model.bin")
    assert isinstance(answer, HttpResponse)
    assert (answer.status_code, answer.content) == (404, b"removed a moment ago\n")
