"""The model that serves the demo: a real one is brought where that can be done, and the reason said where not."""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec

from clustercore.config.environment import environment
from clustercore.nodes.adapters.inventory import inventory_here
from clustercore.nodes.adapters.model_sources import Fetching
from clustercore.nodes.adapters.model_store import pull
from clustercore.nodes.commands.models import Bars
from clustercore.nodes.domain.model_catalogue import ModelStoreError, entry_for
from clustercore.terminal.domain.humanize import file_size_words
from transcription.domain.traits import languages_in

WHISPER = "faster-whisper"
MODEL = f"{WHISPER}:tiny.en"
"""For the bundled conversation, which is English."""
MODEL_OF_ANY_LANGUAGE = f"{WHISPER}:base"
"""For a recording of one's own."""
ROUGH_ENGINE = "pocketsphinx"
_ROUGH = "PocketSphinx will serve, and its text is rough: {reason}"
_ENGLISH_ONLY = "your recording is heard as English, whatever its language is; a model of any language: {pull}"

Tell = Callable[[str], None]


def bring_model(tell: Tell, engine: str = "", *, own_file: bool = False) -> None:
    """Pulls a small model of Whisper where none is here that can serve, and tells what it does.

    The bundled conversation needs English; a recording of one's own (`own_file`) may be in any language. Another
    `engine` than Whisper's is left with the models that it has.
    """
    if engine not in ("", WHISPER):
        return
    languages = frozenset({"*"}) if own_file else frozenset({"*", "en"})
    if _models_here(engine, languages):
        return
    reason = _why_none_came(MODEL_OF_ANY_LANGUAGE if own_file else MODEL, tell)
    if reason is None:
        return
    tell(reason if _models_here(engine, frozenset({"en"})) else _ROUGH.format(reason=reason))
    if own_file:
        tell(_ENGLISH_ONLY.format(pull=f"clustercore models pull {MODEL_OF_ANY_LANGUAGE}"))


def _why_none_came(model: str, tell: Tell) -> str | None:
    """Pulls the model; returns why it could not."""
    if find_spec("faster_whisper") is None:
        return "faster-whisper is not installed; type: pip install faster-whisper (or: make demo)"
    settings, entry = environment(), entry_for(model)
    tell(f"no model is here yet that can serve: pulling {model} ({file_size_words(entry.size_mb * 1e6)}), which stays")
    try:
        with Bars() as bars:
            fetching = Fetching(progress=bars.show, tell=tell)
            pulled = pull(model, settings.models_directory, settings.models_budget_gb, fetching=fetching)
    except (ModelStoreError, OSError) as failure:
        return str(failure)
    tell(f"{model} lies in {pulled.folder}, every file as its checksum says")
    return None


def _models_here(engine: str, languages: frozenset[str]) -> bool:
    """Whether a usable model, better than PocketSphinx's, hears one of the languages (`*`: any)."""
    inventory = inventory_here(environment())
    records = [one.record for one in inventory.models]
    return any(
        record.usable
        and record.capability == "stt"
        and record.engine != ROUGH_ENGINE
        and engine in ("", record.engine)
        and not languages.isdisjoint(languages_in(record.traits))
        for record in records
    )
