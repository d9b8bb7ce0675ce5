"""Every value the product reads from its environment, typed, with its default and its unit.

This is the only module that reads `os.environ`. Importing it starts nothing and touches no file.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import platformdirs
from pydantic import Field, IPvAnyNetwork, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from clustercore.config.domain.tiers import Tiers, tiers_from
from clustercore.embedded.domain.server_urls import checked_database_url, checked_redis_url


def default_data_directory() -> Path:
    """Where state lives when nobody says: a system directory for root, the user's data directory otherwise."""
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        return Path("/var/lib/clustercore")
    return Path(platformdirs.user_data_dir("clustercore", appauthor=False))


class Environment(BaseSettings):
    """Values from `CLUSTERCORE_*` variables; lists are JSON (`'["a", "b"]'`)."""

    model_config = SettingsConfigDict(env_prefix="CLUSTERCORE_", frozen=True, extra="ignore", hide_input_in_errors=True)

    data_dir: Path = Field(default_factory=default_data_directory)
    database_url: str | None = Field(default=None, validation_alias="DATABASE_URL", repr=False)
    redis_url: str | None = Field(default=None, validation_alias="REDIS_URL", repr=False)
    hub_url: str | None = None
    """Base URL of the hub's blob service; derived from DATABASE_URL's host and port when unset."""
    secret_key: str | None = Field(default=None, repr=False)
    debug: bool = False
    allowed_hosts: tuple[str, ...] = ()
    """Names, beside this machine's own, under which browsers may use the hub; `.example.org` means all below it."""
    trusted_proxies: tuple[IPvAnyNetwork, ...] = ()
    """Addresses or networks of reverse proxies whose X-Forwarded-For and X-Forwarded-Proto are believed."""
    requests_per_minute: int = Field(default=600, ge=1)
    """How many requests a minute one person, or one unknown address, may send to the API."""

    node_name: str = Field(default_factory=platform.node)
    slots: int | None = Field(default=None, ge=1, le=64)
    heartbeat_seconds: float = Field(default=5.0, gt=0)
    lease_seconds: float = Field(default=20.0, gt=0)
    grace_seconds: float = Field(default=10.0, ge=0)
    silent_runner_seconds: float = Field(default=120.0, gt=0)
    """An engine runner that reports no progress for so long is killed."""
    idle_runner_seconds: float = Field(default=300.0, gt=0)
    """An engine runner that had no request for so long is ended, and started again with the next one."""
    idle_flower_seconds: float = Field(default=600.0, gt=0)
    """Flower that nobody has looked at for so long is ended, and started again when somebody does."""
    models_dir: Path | None = None
    """Where downloaded models lie; `<data_dir>/models` when unset."""
    models_budget_gb: float = Field(default=20.0, gt=0)
    cache_budget_gb: float = Field(default=10.0, gt=0)
    """How much of a node's disk the cached copies of blobs may fill."""
    max_upload_gb: float = Field(default=50.0, gt=0)
    """The largest file that the hub takes, from another machine or from a person."""
    max_open_uploads: int = Field(default=100, ge=1)
    """Resumable uploads that one person may have open at once."""
    upload_hours: float = Field(default=24.0, gt=0)
    """How long a resumable upload that nobody goes on with, or uses, is kept."""
    unreferenced_hours: float = Field(default=1.0, gt=0)
    """How long a blob that no job refers to stays after it was last stored."""
    history_days: float = Field(default=365.0, ge=0, le=36_500)
    """How long the story of a job that has ended is kept, and the tries that came to nothing; 0: for ever."""
    import_folders: tuple[Path, ...] = ()
    """Folders of the hub's machine from which operators may submit recordings by their path; none by default."""
    node_wait_seconds: float = Field(default=30.0, gt=0)
    """How long a request of the OpenAI-compatible API waits for a node that is able, before it answers 503."""
    backups_kept: int = Field(default=3, ge=0)
    """Dumps of the embedded database, made before its tables are changed, of which the latest stay; 0: none is made."""
    min_free_disk_gb: float = Field(default=1.0, ge=0)
    """With less room than this left in the data directory, `/readyz` says that the hub is not ready."""

    engines: tuple[str, ...] | None = None
    """Plug-ins, `package.module:Class`, each an engine as `clustercore.nodes.domain.engine` describes it; those that
    the kinds of work bring when unset."""
    tiers: Annotated[Tiers, NoDecode] = Field(default_factory=dict)
    """The preference order of a capability's models, best first: each tier is a pattern over `engine:model`. It takes
    the place of the order that a kind of work brings for that capability."""

    rooms: tuple[str, ...] = ()
    """Further Django applications, rooms with kinds of job of their own, beside those of the package."""

    backlog_limit: int = Field(default=100_000, ge=1)
    """Open units above which new jobs are refused, politely."""
    floor_wait_seconds: float = Field(default=600.0, ge=0, le=366 * 86_400)
    """How long a begun job waits for a node that reaches its floor, before lower rungs may serve it."""
    engine_threads: int | None = Field(default=None, ge=1)
    """Processor threads of one engine runner; the processors shared by the slots when unset."""
    piece_seconds: float = Field(default=600.0, gt=1)
    """The longest piece a recording is cut into."""
    max_media_hours: float = Field(default=12.0, gt=0)

    @field_validator("rooms")
    @classmethod
    def _check_rooms(cls, rooms: tuple[str, ...]) -> tuple[str, ...]:
        for room in rooms:
            if not _is_package(room):
                raise ValueError(
                    f"CLUSTERCORE_ROOMS: no package {room!r} is installed here: install it, or take it out of the list"
                )
        return rooms

    @field_validator("database_url")
    @classmethod
    def _check_database_url(cls, url: str | None) -> str | None:
        return checked_database_url(url) if url else url

    @field_validator("redis_url")
    @classmethod
    def _check_redis_url(cls, url: str | None) -> str | None:
        return checked_redis_url(url) if url else url

    @field_validator("tiers", mode="before")
    @classmethod
    def _read_tiers(cls, tiers: object) -> Tiers:
        return tiers_from(tiers)

    @property
    def models_directory(self) -> Path:
        return self.models_dir or self.data_dir / "models"


def _is_package(name: str) -> bool:
    try:
        found = find_spec(name)
    except (ImportError, ValueError):
        return False
    return found is not None and found.submodule_search_locations is not None


@lru_cache(maxsize=1)
def environment() -> Environment:
    """The environment of this process, read once."""
    return Environment()


def set_variables(values: Mapping[str, str | None]) -> None:
    """What the command line's flags say, for this process and its children; None unsets. Before settings are read."""
    for name, value in values.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value
    environment.cache_clear()


def inherited_variables(changes: Mapping[str, str | None]) -> dict[str, str]:
    """This process's variables with `changes` (None removes), for a child process."""
    merged: dict[str, str | None] = {**os.environ, **changes}
    return {name: value for name, value in merged.items() if value is not None}
