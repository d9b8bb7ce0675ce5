"""Tokens, the audit log and encrypted settings; users and their roles are Django's users and groups."""

from __future__ import annotations

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models


class ApiToken(models.Model):
    """A key for programs: shown once, kept as a hash."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="api_tokens")
    name = models.CharField(max_length=80, help_text="What it is for, in the user's words.")
    prefix = models.CharField(max_length=12, help_text="The first letters, so that a person can tell tokens apart.")
    digest = models.CharField(max_length=64, unique=True, help_text="SHA-256 of the token.")
    scopes = ArrayField(models.CharField(max_length=20), default=list)
    created = models.DateTimeField(auto_now_add=True)
    expires = models.DateTimeField(null=True, blank=True)
    last_used = models.DateTimeField(null=True, blank=True)
    revoked = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-id"]
        verbose_name = "API token"

    def __str__(self) -> str:
        return f"{self.name} ({self.prefix}…)"


class AuditEntry(models.Model):
    """Who did what, and when: written by `services.audit.record` alone. Triggers refuse to change or remove a row."""

    seq = models.BigIntegerField(primary_key=True, help_text="From 1, without gaps.")
    at = models.DateTimeField(help_text="By the database's clock.")
    # A name and a number instead of a key: the log keeps what it says when the user goes.
    actor = models.TextField()
    actor_id = models.BigIntegerField(null=True)
    action = models.TextField()
    target = models.TextField(blank=True)
    detail = models.JSONField()
    previous = models.CharField(max_length=64, help_text="The digest of the entry before.")
    digest = models.CharField(max_length=64, help_text="SHA-256 over all the other columns.")

    class Meta:
        ordering = ["-seq"]
        verbose_name_plural = "audit entries"

    def __str__(self) -> str:
        return f"{self.seq} {self.actor} {self.action} {self.target}".strip()


class EncryptedSetting(models.Model):
    """A secret that the product uses, encrypted with a key that does not lie in the database: see `services.vault`."""

    name = models.CharField(max_length=80, unique=True)
    ciphertext = models.TextField(
        help_text="Fernet; the keys lie in secrets/settings.keys of the hub's data directory."
    )
    updated = models.DateTimeField()
    updated_by = models.TextField()

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name
