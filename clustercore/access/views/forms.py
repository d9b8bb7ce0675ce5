"""The forms of this room's pages."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django import forms

from clustercore.access.domain.errors import Refused
from clustercore.access.domain.lifetimes import CHOICES, DEFAULT_DAYS
from clustercore.access.domain.roles import Permission, Role
from clustercore.access.services.people import problems_of

MEANINGS = {
    Permission.VIEW: "see nodes, the status, and jobs",
    Permission.SUBMIT: "upload files and start jobs",
    Permission.OPERATE: "cancel, retry, share and remove jobs; correct transcripts",
    Permission.NODES: "drain and undrain nodes",
    Permission.METRICS: "read the metrics",
    Permission.ADMINISTER: "everything an administrator may",
}
ROLE_MEANINGS = {
    Role.VIEWER: "sees nodes, and jobs that are shared",
    Role.OPERATOR: "starts jobs and steers their own, drains nodes",
    Role.ADMINISTRATOR: "everybody's jobs, people, the audit log, the admin",
}
_NAME_LENGTH = 150
_PASSWORD_LENGTH = 1024
"""Longer ones cost the hub time and nobody anything."""


class Form(forms.Form):
    """A form whose service may still refuse what each field by itself allows."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        named.setdefault("label_suffix", "")
        super().__init__(*arguments, **named)

    def refuse(self, refused: Refused) -> None:
        """Shows a refusal at the field that it names."""
        self.add_error(refused.field if refused.field in self.fields else None, refused.message)


def _name(**attributes: Any) -> forms.CharField:
    widget = forms.TextInput(attrs={"autocomplete": "username", "autocapitalize": "none", "spellcheck": "false"})
    return forms.CharField(max_length=_NAME_LENGTH, widget=widget, **attributes)


def _password(autocomplete: str, **attributes: Any) -> forms.CharField:
    widget = forms.PasswordInput(attrs={"autocomplete": autocomplete})
    return forms.CharField(max_length=_PASSWORD_LENGTH, strip=False, widget=widget, **attributes)


class SignInForm(Form):
    name = _name(label="Name")
    password = _password("current-password", label="Password")


class NewPasswordForm(Form):
    password = _password("new-password", label="Password", help_text="Eight characters or more, and no common word.")
    again = _password("new-password", label="Password again")

    def clean(self) -> dict[str, Any]:
        given: dict[str, Any] = super().clean() or {}
        if "password" in given and "again" in given and given["password"] != given["again"]:
            self.add_error("again", "The two passwords differ.")
        return given


class SetupForm(NewPasswordForm):
    name = _name(label="Name", help_text="What you will sign in with: letters, digits and @ . + - _, no spaces.")
    field_order = ("name", "password", "again")

    def clean(self) -> dict[str, Any]:
        """Says at once all that is wrong: a person would else mend one field and be told of the next."""
        given = super().clean()
        for field, message in problems_of(given.get("name", ""), given.get("password")).items():
            if field in given:
                self.add_error(field, message)
        return given


class ChangePasswordForm(NewPasswordForm):
    current = _password("current-password", label="Current password")
    field_order = ("current", "password", "again")


class PersonForm(Form):
    name = forms.CharField(
        label="Name",
        max_length=_NAME_LENGTH,
        widget=forms.TextInput(attrs={"autocomplete": "off", "autocapitalize": "none", "spellcheck": "false"}),
    )
    role = forms.ChoiceField(label="Role", initial=Role.OPERATOR.value)

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self.fields["role"].choices = ROLE_CHOICES  # type: ignore[attr-defined]


class RoleForm(Form):
    role = forms.ChoiceField(choices=[(role.value, role.value) for role in Role])


class TokenForm(Form):
    """What a new token is for; `allowed` are the scopes that its maker has to give."""

    name = forms.CharField(
        label="What it is for",
        max_length=80,
        widget=forms.TextInput(attrs={"autocomplete": "off", "placeholder": "backup script on the NAS"}),
    )
    scopes = forms.MultipleChoiceField(label="What it may do", widget=forms.CheckboxSelectMultiple)
    days = forms.TypedChoiceField(label="How long", coerce=int, choices=list(CHOICES.items()), initial=DEFAULT_DAYS)

    def __init__(self, allowed: Iterable[Permission], *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        held = [permission for permission in Permission if permission in set(allowed)]
        choices = [(permission.value, f"{permission.value}: {MEANINGS[permission]}") for permission in held]
        self.fields["scopes"].choices = choices  # type: ignore[attr-defined]


ROLE_CHOICES = [(role.value, f"{role.value}: {ROLE_MEANINGS[role]}") for role in Role]
