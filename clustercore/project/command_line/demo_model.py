"""The model that serves the demo: a real one is brought where that can be done, and the reason said where not."""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec

from clustercore.config.environment import environment
from clustercore.nodes.adapters.inventory import take_inventory
from clustercore.nodes.adapters.model_sources import Fetching
from clustercore.nodes.adapters.model_store import pull
from clustercore.nodes.domain.model_catalogue import ModelStoreError, entry_for
from clustercore.project.command_line.rendering import megabytes
from clustercore.project.command_line.stored_models import Bars

MODEL = "faster-whisper:tiny.en"
ROUGH_ENGINE = "pocketsphinx"
_ROUGH = "PocketSphinx will serve, and its text is rough: {reason}"

Tell = Callable[[str], None]


def bring_model(tell: Tell) -> None:
    """Pulls a small model of Whisper where no model better than PocketSphinx's is here, and tells what it does."""
    if _better_model_is_here():
        return
    if find_spec("faster_whisper") is None:
        tell(_ROUGH.format(reason="faster-whisper is not installed; type: pip install faster-whisper (or: make demo)"))
        return
    settings, entry = environment(), entry_for(MODEL)
    tell(f"no model is here yet: pulling {MODEL} ({megabytes(entry.size_mb)}), which stays")
    try:
        with Bars() as bars:
            fetching = Fetching(progress=bars.show, tell=tell)
            pulled = pull(MODEL, settings.models_directory, settings.models_budget_gb, fetching=fetching)
    except (ModelStoreError, OSError) as failure:
        tell(_ROUGH.format(reason=failure))
    else:
        tell(f"{MODEL} lies in {pulled.folder}, every file as its checksum says")


def _better_model_is_here() -> bool:
    settings = environment()
    inventory = take_inventory(settings.engines, settings.stt_ladder, settings.models_directory)
    return any(
        one.record.usable and one.record.capability == "stt" and one.record.engine != ROUGH_ENGINE
        for one in inventory.records
    )
