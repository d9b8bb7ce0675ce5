"""What the admin calls the tables."""

from __future__ import annotations

import re

from django.apps import apps

OURS = ("clustercore.", "transcription.")


def test_no_plural_is_misspelt() -> None:
    plurals = [str(model._meta.verbose_name_plural) for model in apps.get_models() if model.__module__.startswith(OURS)]
    assert "audit entries" in plurals
    assert not [plural for plural in plurals if re.search(r"[^aeiou]ys$", plural)]
