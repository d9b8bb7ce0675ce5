"""People: added, given roles, disabled. Nobody is deleted, because jobs and the audit log name them."""

from __future__ import annotations

from django.contrib.auth.models import Group, User
from django.contrib.auth.password_validation import validate_password
from django.contrib.auth.tokens import default_token_generator
from django.core.exceptions import ValidationError
from django.db import IntegrityError, connection, transaction
from django.urls import reverse
from django.utils.encoding import force_bytes
from django.utils.http import urlsafe_base64_decode, urlsafe_base64_encode

from clustercore.access.domain.errors import Conflict, Expired, NotFound, Unacceptable
from clustercore.access.domain.identity import Identity
from clustercore.access.domain.roles import Role
from clustercore.access.selectors import administrators, role_of
from clustercore.access.services import audit
from clustercore.embedded.domain.advisory_locks import AdvisoryLock

LINK_DEAD = "This link was used already, or is too old: ask an administrator for another."
NAME_RULE = "A name has letters, digits and @ . + - _ only, at most 150 of them, and no spaces."


class NameTaken(Conflict):
    """There is a person of that name."""


class LastAdministrator(Conflict):
    """Nobody could administer any more."""

    code = "last_administrator"


class PersonDisabled(Conflict):
    """Who is disabled gets nothing new."""


class LinkDead(Expired):
    """A link that sets a password was used, or is too old."""

    def __init__(self) -> None:
        super().__init__(LINK_DEAD)


class NoSuchPerson(NotFound):
    """Nobody is called so."""

    code = None


class RuleBroken(Unacceptable):
    """A name or a password that the rules do not allow; `field` says which."""


def add_person(actor: Identity, name: str, role: Role, password: str | None = None) -> User:
    """A new person; without a password, one sets it by `password_link`. Raises NameTaken, RuleBroken."""
    user = User(username=User.normalize_username(name.strip()))
    _require_valid(user, password)
    if password is None:
        user.set_unusable_password()
    else:
        user.set_password(password)
    _set_flags(user, role)
    try:
        with transaction.atomic():
            user.save()
            _set_group(user, role)
            audit.record(actor, "person.added", _named(user), role=role.value)
    except IntegrityError as error:
        raise NameTaken(f"there is a person named {user.username!r} already", field="name") from error
    return user


def set_role(actor: Identity, user_id: int, role: Role) -> User:
    """Gives a person this role and no other. Raises NoSuchPerson, LastAdministrator."""
    with transaction.atomic():
        user = _locked(user_id)
        before = role_of(user)
        if before == role and user.is_superuser == (role is Role.ADMINISTRATOR):
            return user
        if role is not Role.ADMINISTRATOR:
            _require_another_administrator(user)
        _set_flags(user, role)
        user.save(update_fields=["is_staff", "is_superuser"])
        _set_group(user, role)
        audit.record(actor, "person.role_changed", _named(user), before=before and before.value, after=role.value)
    return user


def set_active(actor: Identity, user_id: int, active: bool) -> User:
    """Disables a person, whose sessions and tokens stop at once, or lets them in again. Raises as `set_role`."""
    with transaction.atomic():
        user = _locked(user_id)
        if user.is_active == active:
            return user
        if not active:
            _require_another_administrator(user)
        user.is_active = active
        user.save(update_fields=["is_active"])
        audit.record(actor, "person.enabled" if active else "person.disabled", _named(user))
    return user


def password_link(actor: Identity, user_id: int) -> str:
    """The path of a page where this person sets a password, once, within PASSWORD_RESET_TIMEOUT seconds."""
    with transaction.atomic():
        user = _locked(user_id)
        if not user.is_active:
            raise PersonDisabled(f"{user.username} is disabled: enable them first")
        audit.record(actor, "person.link_made", _named(user))
    key = urlsafe_base64_encode(force_bytes(user.pk))
    return reverse("access:set-password", args=[key, default_token_generator.make_token(user)])


def person_of_link(key: str, token: str) -> User | None:
    """Whose password a link sets; None for a link that is used, old or made up."""
    user = _person_of_key(key)
    return user if user is not None and user.is_active and default_token_generator.check_token(user, token) else None


def use_link(key: str, token: str, password: str) -> User:
    """Sets the password by a link, which is dead afterwards. Raises LinkDead, RuleBroken."""
    with transaction.atomic():
        found = _person_of_key(key)
        # Of two that use a link at once the second finds it dead: it waits here for the first.
        user = User.objects.select_for_update().filter(pk=found.pk, is_active=True).first() if found else None
        if user is None or not default_token_generator.check_token(user, token):
            raise LinkDead
        require_password(user, password)
        user.set_password(password)
        user.save(update_fields=["password"])
        audit.record(Identity(user.pk, user.username, role_of(user)), "person.password_set", _named(user))
    return user


def change_password(actor: Identity, user: User, password: str) -> None:
    """The person's own new password; other sessions end with it. Raises RuleBroken for a weak one."""
    require_password(user, password)
    with transaction.atomic():
        user.set_password(password)
        user.save(update_fields=["password"])
        audit.record(actor, "person.password_changed", _named(user))


def person_named(name: str) -> User:
    """Returns the person of that name. Raises NoSuchPerson."""
    user = User.objects.filter(username=User.normalize_username(name.strip())).first()
    if user is None:
        raise NoSuchPerson(f"there is no person named {name!r}", field="name")
    return user


def require_password(user: User, password: str) -> None:
    """Raises RuleBroken that says what is wrong with a password."""
    try:
        validate_password(password, user)
    except ValidationError as error:
        raise RuleBroken(" ".join(error.messages), field="password") from error


def lock_administrators() -> None:
    """Until the transaction ends, nobody else decides who administers."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [AdvisoryLock.ADMINISTRATORS])


def problems_of(name: str, password: str | None) -> dict[str, str]:
    """Returns what is wrong with the name and the password of somebody new, by field; all of it at once."""
    user = User(username=User.normalize_username(name.strip()))
    problems = {}
    try:
        user.clean_fields(exclude=["password"])
    except ValidationError:
        problems["name"] = NAME_RULE
    if password is not None:
        try:
            validate_password(password, user)
        except ValidationError as error:
            problems["password"] = " ".join(error.messages)
    return problems


def _require_valid(user: User, password: str | None) -> None:
    for field, message in problems_of(user.username, password).items():
        raise RuleBroken(message, field=field)


def _require_another_administrator(user: User) -> None:
    if administrators().filter(pk=user.pk).exists() and not administrators().exclude(pk=user.pk).exists():
        message = f"{user.username} is the last administrator: make somebody else one first"
        raise LastAdministrator(message)


def _locked(user_id: int) -> User:
    lock_administrators()
    user = User.objects.select_for_update().filter(pk=user_id).first()
    if user is None:
        raise NoSuchPerson("there is no such person")
    return user


def _set_flags(user: User, role: Role) -> None:
    """Django's admin asks for these, and nobody else is given them."""
    user.is_staff = user.is_superuser = role is Role.ADMINISTRATOR


def _set_group(user: User, role: Role) -> None:
    user.groups.remove(*user.groups.filter(name__in=[one.value for one in Role]))
    user.groups.add(Group.objects.get_or_create(name=role.value)[0])


def _person_of_key(key: str) -> User | None:
    try:
        number = int(urlsafe_base64_decode(key))
    except (ValueError, OverflowError):
        return None
    return User.objects.filter(pk=number).first() if number < 1 << 31 else None


def _named(user: User) -> str:
    return f"user {user.username}"
