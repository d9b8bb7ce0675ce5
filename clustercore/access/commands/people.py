"""`clustercore users` and `clustercore tokens`: who may come in, and with which keys, for whoever holds the hub."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Annotated, Any

from django.contrib.auth.models import User
from django.utils import timezone
from rich.text import Text
from typer import Argument, Context, Option, Typer

from clustercore.access.adapters.account import account
from clustercore.access.domain.errors import Refused
from clustercore.access.domain.identity import Identity
from clustercore.access.domain.lifetimes import DEFAULT_DAYS, LONGEST_DAYS
from clustercore.access.domain.roles import Permission, Role
from clustercore.access.models import ApiToken
from clustercore.access.selectors import identity_of_user, people_with_roles
from clustercore.access.services import people
from clustercore.access.services.sign_in import unlock
from clustercore.access.services.tokens import make_token, revoke_token_of
from clustercore.terminal.adapters.console import output, remark, say, write_json
from clustercore.terminal.adapters.tables import table
from clustercore.terminal.domain.endings import CommandError, ExitCode
from clustercore.terminal.domain.humanize import printable
from clustercore.terminal.services.program import cluster, hub_address, take_signing_key

users = Typer(invoke_without_command=True, rich_markup_mode=None)
tokens = Typer(invoke_without_command=True, rich_markup_mode=None)
Name = Annotated[str, Argument(help="As `clustercore users list` shows it.")]
RoleOption = Annotated[Role, Option("--role", help="viewer sees, operator starts jobs, administrator does all.")]
JsonOption = Annotated[bool, Option("--json", help="For a script.")]


@users.callback()
def overview_of_users(context: Context) -> int | None:
    """Say who may come in, and as what.

    A viewer sees nodes and shared jobs, an operator starts jobs and steers their own, an administrator does all.
    Nobody is deleted, because jobs and the audit log name them: who has left is disabled.

    Examples:

      clustercore users add olga --role operator       prints a link with which she sets her password

      clustercore users role olga administrator

      clustercore users disable olga                   sessions and tokens stop at once

      clustercore users link olga                      a new link, when the password is lost or locked
    """
    return list_users() if context.invoked_subcommand is None else None


@users.command("list")
def list_users(as_json: JsonOption = False) -> int:
    """List everybody with their role.

    Examples:

      clustercore users list
    """
    with cluster():
        everybody = people_with_roles()
    if as_json:
        write_json([_as_document(user, role) for user, role in everybody])
        return ExitCode.DONE
    if not everybody:
        say("Nobody yet: `clustercore up` prints a link that makes the first administrator.")
        return ExitCode.DONE
    listed = table("name", "role", "may come in", "last signed in (UTC)")
    for user, role in everybody:
        entered = f"{user.last_login:%Y-%m-%d %H:%M}" if user.last_login else "never"
        listed.add_row(*_words(user.username, role.value if role else "none", _standing(user), entered))
    output().print(listed)
    return ExitCode.DONE


@users.command()
def add(name: Annotated[str, Argument(help="What they sign in with.")], role: RoleOption = Role.OPERATOR) -> int:
    """Add a person, and print a link with which they set their password: once, within three days.

    Examples:

      clustercore users add olga --role operator
    """
    with _asking() as actor:
        user = people.add_person(actor, name, role)
        path = _signed_path(actor, user)
    remark(f"{user.username} is {role.value}. Give them this link, which sets their password once, within three days:")
    say(_link(path))
    return ExitCode.DONE


@users.command("role")
def set_role(name: Name, role: Annotated[Role, Argument(help="viewer, operator or administrator.")]) -> int:
    """Give a person another role, from their next request on.

    Examples:

      clustercore users role olga administrator
    """
    with _asking() as actor:
        people.set_role(actor, people.person_named(name).pk, role)
    say(f"{name}: {role.value}")
    return ExitCode.DONE


@users.command()
def disable(name: Name) -> int:
    """Let a person in no more: sessions and tokens stop at once.

    Examples:

      clustercore users disable olga
    """
    return _set_active(name, active=False)


@users.command()
def enable(name: Name) -> int:
    """Let a disabled person in again, with the password and the tokens that they had.

    Examples:

      clustercore users enable olga
    """
    return _set_active(name, active=True)


@users.command()
def link(name: Name) -> int:
    """Print a link with which a person sets a new password, and lift the lock of too many wrong tries.

    Examples:

      clustercore users link olga
    """
    with _asking() as actor:
        path = _signed_path(actor, people.person_named(name))
        unlock(name)
    say(_link(path))
    return ExitCode.DONE


@tokens.callback()
def overview_of_tokens(context: Context) -> int | None:
    """Keys for programs: each has an owner, whose role bounds it, scopes, and an end.

    Examples:

      clustercore tokens create olga "backup of the NAS" --scope view --scope submit

      export OPENAI_API_KEY=$(clustercore tokens create olga subtitles --scope submit --days 30)

      clustercore tokens revoke 7
    """
    return list_tokens() if context.invoked_subcommand is None else None


@tokens.command("list")
def list_tokens(as_json: JsonOption = False) -> int:
    """List the tokens that are not revoked: what for, whose, what they may, until when. The keys are not kept.

    Examples:

      clustercore tokens list --json
    """
    with cluster():
        rows = list(ApiToken.objects.select_related("user").filter(revoked=None))
    if as_json:
        write_json([_token_document(row) for row in rows])
        return ExitCode.DONE
    listed = table("id", "begins", "what for", "whose", "may", "until", "last used (UTC)")
    for row in rows:
        until = f"{row.expires:%Y-%m-%d}" if row.expires else "for ever"
        used = f"{row.last_used:%Y-%m-%d %H:%M}" if row.last_used else "never"
        words = (str(row.pk), row.prefix, row.name, row.user.get_username(), " ".join(row.scopes), until, used)
        listed.add_row(*_words(*words))
    output().print(listed)
    return ExitCode.DONE


@tokens.command()
def create(
    owner: Annotated[str, Argument(help="Whose token it is: it acts in their name.")],
    name: Annotated[str, Argument(help="What it is for.")],
    scope: Annotated[list[Permission], Option("--scope", help="What it may do; repeatable.")],
    days: Annotated[int, Option(min=0, max=LONGEST_DAYS, help="How long it lives; 0: until revoked.")] = DEFAULT_DAYS,
) -> int:
    """Make a token and print it, this once. Its scopes can only be what its owner's role allows.

    Examples:

      clustercore tokens create olga subtitles --scope submit --days 30
    """
    expires = timezone.now() + timedelta(days=days) if days else None
    with _asking() as actor:
        identity = identity_of_user(people.person_named(owner))
        if not identity.is_known:
            raise people.PersonDisabled(f"{owner} is disabled")
        row, token = make_token(actor, identity, name, frozenset(scope), expires)
    remark(
        f"Token {row.pk} of {owner}: {', '.join(row.scopes)}, {f'until {expires:%Y-%m-%d}' if expires else 'for ever'}"
    )
    sys.stdout.write(token + "\n")
    return ExitCode.DONE


@tokens.command()
def revoke(ids: Annotated[list[int], Argument(help="As `clustercore tokens list` shows them.")]) -> int:
    """Make tokens worthless, at once and for good.

    Examples:

      clustercore tokens revoke 7 8
    """
    with _asking() as actor:
        for token_id in ids:
            revoke_token_of(actor, token_id, owner_id=None)
    say(f"revoked: {', '.join(str(token_id) for token_id in ids)}")
    return ExitCode.DONE


@contextmanager
def _asking() -> Iterator[Identity]:
    """Who types holds the hub's database, and with it every right: no role is asked for, but the account is noted."""
    with cluster():
        try:
            yield account()
        except Refused as refused:
            raise CommandError(refused.message, ExitCode.USAGE) from refused


def _set_active(name: str, *, active: bool) -> int:
    with _asking() as actor:
        people.set_active(actor, people.person_named(name).pk, active)
    say(f"{name}: {'may come in again' if active else 'disabled; sessions and tokens have stopped'}")
    return ExitCode.DONE


def _signed_path(actor: Identity, user: User) -> str:
    """Of all commands only these two sign something, as the web process does."""
    take_signing_key()
    return people.password_link(actor, user.pk)


def _link(path: str) -> str:
    return f"{hub_address()}{path}"


def _standing(user: User) -> str:
    if not user.is_active:
        return "no, disabled"
    return "yes" if user.has_usable_password() else "not yet, no password"


def _as_document(user: User, role: Role | None) -> dict[str, Any]:
    return {
        "id": user.pk,
        "name": user.username,
        "role": role.value if role else None,
        "active": user.is_active,
        "has_password": user.has_usable_password(),
        "last_login": user.last_login,
    }


def _token_document(row: ApiToken) -> dict[str, Any]:
    return {
        "id": row.pk,
        "prefix": row.prefix,
        "name": row.name,
        "owner": row.user.get_username(),
        "scopes": row.scopes,
        "created": row.created,
        "expires": row.expires,
        "last_used": row.last_used,
    }


def _words(*words: str) -> list[Text]:
    return [Text(printable(word)) for word in words]
