"""What the hub stores, by content hash."""

from __future__ import annotations

from uuid import uuid4

from django.conf import settings
from django.db import models
from django.db.models.functions import Now

from clustercore.blobs.domain.uploads import UploadState


class Blob(models.Model):
    """Bytes by SHA-256. The bytes lie at the hub; a node's copies are caches."""

    sha256 = models.CharField(max_length=64, primary_key=True)
    size = models.BigIntegerField()
    media_type = models.CharField(max_length=100, blank=True)
    created = models.DateTimeField(auto_now_add=True)
    stamped = models.DateTimeField(db_default=Now(), help_text="When somebody last stored it, or found it stored.")
    deleted = models.DateTimeField(null=True, blank=True, help_text="Set when nodes must drop their copies too.")
    seal = models.CharField(max_length=200, blank=True, help_text="Of the store's file when its bytes were verified.")

    class Meta:
        ordering = ["-created"]

    def __str__(self) -> str:
        return f"{self.sha256[:12]} ({self.size} bytes)"


class Hub(models.Model):
    """The one row that says who the hub is: its identity, its blob address and the key that signs blob URLs."""

    singleton = models.BooleanField(primary_key=True, default=True)
    identity = models.CharField(max_length=64)
    signing_key = models.CharField(max_length=128)
    blob_url = models.URLField(max_length=300, blank=True)

    class Meta:
        verbose_name = "hub"
        constraints = [models.CheckConstraint(condition=models.Q(singleton=True), name="there_is_one_hub")]

    def __str__(self) -> str:
        return self.blob_url or self.identity


class Upload(models.Model):
    """A file that comes in parts, over as many connections as it takes.

    How much came is the file's own size; after a start of the machine it is `offset`, of which all had been flushed.
    """

    id = models.UUIDField(primary_key=True, default=uuid4, editable=False)
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="uploads")
    name = models.CharField(max_length=300, help_text="The sender's file name; only ever shown as text.")
    media_type = models.CharField(max_length=100, blank=True)
    size = models.BigIntegerField(help_text="Bytes announced.")
    offset = models.BigIntegerField(default=0, help_text="Bytes that came.")
    state = models.CharField(
        max_length=8, choices=[(state.value, state.value) for state in UploadState], default=UploadState.OPEN
    )
    sha256 = models.CharField(max_length=64, blank=True, help_text="Of the whole, once it is here.")
    seal = models.CharField(max_length=200, blank=True, help_text="Of the file when `offset` bytes of it were flushed.")
    created = models.DateTimeField()
    moved = models.DateTimeField(db_default=Now(), help_text="When bytes came last.")
    expires = models.DateTimeField(db_index=True, help_text="Unless something happens to it before.")

    class Meta:
        ordering = ["-created"]
        indexes = [models.Index(fields=["owner", "state"], name="upload_by_owner_and_state")]

    def __str__(self) -> str:
        return f"{self.name} ({self.offset} of {self.size} bytes)"
