"""The servers of a data directory and its small files, for commands that need neither Django nor Celery."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from clustercore.config.environment import environment
from clustercore.embedded.adapters.directories import layout_of, make_data_directory
from clustercore.embedded.adapters.secrets import replace
from clustercore.embedded.domain.endpoints import Endpoints
from clustercore.embedded.selectors import resolve_endpoints
from clustercore.embedded.services import Lease, ensure_running, status
from clustercore.terminal.domain.endings import CommandError, ExitCode, Unreachable

CLIENT_LINGER_SECONDS = 30.0
NOTHING_RUNS = (
    "nothing runs in {data_dir}. Start the cluster here with `clustercore up -d`; or, to reach one on another "
    "machine, set DATABASE_URL and REDIS_URL to what `clustercore up --listen` printed there."
)


def endpoints() -> Endpoints:
    """Returns where this process finds the servers, by its variables and its data directory."""
    found = environment()
    return resolve_endpoints(found.data_dir, found.database_url, found.redis_url)


def uses_embedded_servers() -> bool:
    """Whether at least one of the two servers is this data directory's own."""
    return endpoints().embedded_database or endpoints().embedded_redis


def _one_is_missing() -> str:
    """Which of the two addresses is not set, where one is."""
    found = environment()
    if bool(found.database_url) == bool(found.redis_url):
        return ""
    here, missing = ("DATABASE_URL", "REDIS_URL") if found.database_url else ("REDIS_URL", "DATABASE_URL")
    return f"{here} is set and {missing} is not: set both to what `clustercore up --listen` printed, or neither"


@contextmanager
def servers(
    *, start: bool, linger_seconds: float = CLIENT_LINGER_SECONDS, tell: Callable[[str], None] | None = None
) -> Iterator[Lease | None]:
    """Holds the embedded servers for as long as the block runs; without `start` they must run already.

    Yields their lease, or None where both servers are somebody else's.

    Raises Unreachable, EmbeddedError.
    """
    data_dir = environment().data_dir
    if start:
        _make(data_dir)
    if not uses_embedded_servers():
        yield None
        return
    if not start and status(data_dir)["phase"] in ("absent", "stopping"):
        raise Unreachable(_one_is_missing() or NOTHING_RUNS.format(data_dir=data_dir))
    with ensure_running(data_dir, linger_seconds=linger_seconds, tell=tell) as lease:
        yield lease


def run_directory() -> Path:
    """Where running commands note their ports and process numbers; made when absent."""
    path = layout_of(environment().data_dir).run
    _make(path)
    return path


def log_directory() -> Path:
    """Where processes that run in the background write; made when absent."""
    path = layout_of(environment().data_dir).logs
    _make(path)
    return path


def _make(path: Path) -> None:
    try:
        make_data_directory(layout_of(environment().data_dir).data_dir)
        path.mkdir(mode=0o700, exist_ok=True)
    except OSError as error:
        message = (
            f"the directory {path} cannot be made: {error.strerror}. "
            "Make it writable, or choose another with --data-dir DIR (or CLUSTERCORE_DATA_DIR)."
        )
        raise CommandError(message, ExitCode.USAGE) from error


def note(path: Path, text: str) -> None:
    """Writes a small file at once and for this user only."""
    replace(path, text)
