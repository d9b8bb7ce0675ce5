"""House rules about what Django and Celery have registered: models, tasks, settings."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from django.db import models

from tests.architecture.source import PACKAGES


def ranks(root: Path) -> dict[str, int]:
    """How high each package stands, as the import contract `packages` tells it: `{"transcription": 2, …}`."""
    configuration = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))
    contracts = configuration["tool"]["importlinter"]["contracts"]
    layers = next(contract["layers"] for contract in contracts if contract["id"] == "packages")
    return {
        package.strip(" ()"): len(layers) - number
        for number, layer in enumerate(layers)
        for package in layer.split("|")
    }


def room_of(module: str, known: Iterable[str]) -> str | None:
    """The package among `known` that `module` lies in."""
    return next((package for package in known if module == package or module.startswith(package + ".")), None)


def foreign_keys_pointing_up(registered: Iterable[type[models.Model]], height: Mapping[str, int]) -> Iterator[str]:
    """Relations whose target stands higher than their model, or beside it in another package."""
    for model in registered:
        here = room_of(model.__module__, height)
        for field in model._meta.get_fields():
            target = field.related_model if field.is_relation and field.concrete else None
            there = room_of(target.__module__, height) if isinstance(target, type) else None
            if here and there and here != there and height[there] >= height[here]:
                yield f"{model.__module__}.{model.__name__}.{field.name} points at {there}; keys point down"


def tasks_under_other_names(registered: Mapping[str, object]) -> Iterator[str]:
    """Tasks of ours that are not named after their package, `transcription.cut` in transcription."""
    for name, task in registered.items():
        module = type(task).__module__
        if module.partition(".")[0] in PACKAGES:
            package = module.removeprefix("clustercore.").partition(".")[0]
            if name.partition(".")[0] != package:
                yield f"{module} registers {name!r}; call it {package}.{name.rpartition('.')[2]}"
