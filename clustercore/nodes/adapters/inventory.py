"""What this machine can do: every configured engine plug-in is asked; a broken one is shown, not fatal."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from clustercore.config.environment import Environment
from clustercore.nodes.adapters.plugins import load_plugin
from clustercore.nodes.domain.engine import ModelRecord
from clustercore.nodes.domain.inventory import Inventory, TieredModel
from clustercore.nodes.domain.queues import queue_for
from clustercore.nodes.domain.tiers import Orders, engines_with, orders_with, rung_of

REASON_CHARACTERS = 400
ENGINE_CHARACTERS = 60
MODEL_CHARACTERS = 200


def inventory_here(environment: Environment) -> Inventory:
    """What this machine can do with the engines and the preference orders that are set, or that rooms bring."""
    orders = orders_with(environment.tiers)
    return take_inventory(engines_with(environment.engines), orders, environment.models_directory)


def take_inventory(engines: Iterable[str], orders: Orders, models_directory: Path) -> Inventory:
    """Asks every plug-in in `engines` (`package.module:Class`). Never raises for a plug-in's sake."""
    records: dict[tuple[str, str, str], TieredModel] = {}
    plugins: dict[str, str] = {}
    for path in engines:
        for record in _ask(path, models_directory, plugins):
            key = (record.capability, record.engine, record.model)
            records.setdefault(key, TieredModel(record, _rung(orders, record)))
    return Inventory(tuple(records.values()), plugins)


def _ask(path: str, models_directory: Path, plugins: dict[str, str]) -> list[ModelRecord]:
    name, capability = path, "unknown"
    # A plug-in is somebody else's code: whatever it does, SystemExit included, the node goes on without it.
    try:
        engine = load_plugin(path)
        name, capability = engine.name, engine.capability
        records = [_checked(record) for record in engine().inventory(models_directory)]
    except (Exception, SystemExit) as error:
        reason = f"{path} cannot be used: {type(error).__name__}: {error}"[:REASON_CHARACTERS]
        return [
            ModelRecord(
                capability=capability[:40], engine=name[:ENGINE_CHARACTERS], model="", usable=False, reason=reason
            )
        ]
    plugins[name] = path
    return records


def _checked(record: ModelRecord) -> ModelRecord:
    """Raises TypeError or ValueError for what could be neither written down nor listened for."""
    if not isinstance(record, ModelRecord):
        raise TypeError(f"the inventory holds {type(record).__name__}, not ModelRecord")
    queue_for(record.capability)
    if len(record.engine) > ENGINE_CHARACTERS or len(record.model) > MODEL_CHARACTERS:
        raise ValueError(f"names are at most {ENGINE_CHARACTERS} (engine) and {MODEL_CHARACTERS} (model) long")
    return record


def _rung(orders: Orders, record: ModelRecord) -> int:
    """Of a capability without an order all models are alike."""
    order = orders.get(record.capability)
    return rung_of(order, record.engine, record.model) if order is not None else 0
