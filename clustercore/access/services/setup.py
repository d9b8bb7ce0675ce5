"""The first administrator, made by whoever holds the link that `clustercore up` printed."""

from __future__ import annotations

import hmac
import secrets
from contextlib import suppress
from pathlib import Path

from django.conf import settings
from django.contrib.auth.models import User
from django.db import transaction
from django.urls import reverse

from clustercore.access.domain.errors import Expired
from clustercore.access.domain.identity import Identity
from clustercore.access.domain.roles import Role
from clustercore.access.domain.tokens import digest_of
from clustercore.access.selectors import has_administrator
from clustercore.access.services.people import add_person, lock_administrators
from clustercore.embedded.adapters.secrets import replace

DEAD = "This link is dead: there is an administrator already, or a newer link was made."
SETUP = Identity(None, "setup link", None)


class SetupClosed(Expired):
    """There is an administrator already, or a newer link."""

    code = "setup_closed"

    def __init__(self) -> None:
        super().__init__(DEAD)


def make_setup_path() -> str:
    """The path of a new link, which ends every older one; empty where there is an administrator.

    Only the token's hash is kept, in a file that nobody but the hub's account can read.
    """
    if has_administrator():
        close_setup()
        return ""
    token = secrets.token_urlsafe(32)
    replace(_file(), digest_of(token))
    return reverse("access:setup", args=[token])


def is_link_waiting() -> bool:
    """Whether a link was made that nobody has used; asks the file alone."""
    return _file().exists()


def is_setup_open(token: str) -> bool:
    """Whether this link may make the first administrator."""
    return _is_right(token) and not has_administrator()


def make_first_administrator(token: str, name: str, password: str) -> User:
    """Makes the first administrator. Raises SetupClosed, RuleBroken."""
    with transaction.atomic():
        # Of two that hold the link, the second waits here and then finds an administrator.
        lock_administrators()
        if not is_setup_open(token):
            raise SetupClosed
        user = add_person(SETUP, name, Role.ADMINISTRATOR, password)
    close_setup()
    return user


def close_setup() -> None:
    """No link opens anything from now on."""
    with suppress(FileNotFoundError):
        _file().unlink()


def _is_right(token: str) -> bool:
    try:
        wanted = _file().read_text(encoding="ascii").strip()
    except OSError:
        return False
    return hmac.compare_digest(wanted.encode(), digest_of(token).encode())


def _file() -> Path:
    path: Path = settings.SETUP_FILE
    return path
