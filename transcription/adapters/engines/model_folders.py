"""Where an engine's models lie: `<models_directory>/<engine>/<model>/`, one folder each."""

from __future__ import annotations

from pathlib import Path

from clustercore.nodes.domain.engine import EngineFailure


def model_folders(models_directory: Path, engine: str) -> list[Path]:
    """The folders of this engine, by name; hidden ones (downloads under way, quarantine) are not models."""
    root = models_directory / engine
    if not root.is_dir():
        return []
    return sorted(path for path in root.iterdir() if path.is_dir() and not path.name.startswith("."))


def model_folder(models_directory: Path, engine: str, model: str) -> Path:
    """Raises EngineFailure `model_missing` for a name that would lead out of the engine's folder."""
    if not model or model.startswith(".") or any(mark in model for mark in "/\\:\0"):
        raise EngineFailure("model_missing", f"{model!r} is no name of a model")
    return models_directory / engine / model


def megabytes(folder: Path) -> int:
    """The size of all files below, rounded up to whole megabytes."""
    total = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    return -(-total // 1_000_000)
