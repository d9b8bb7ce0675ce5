"""What the hub stores, by content hash."""

from __future__ import annotations

from django.db import models


class Blob(models.Model):
    """Bytes by SHA-256. The bytes lie at the hub; a node's copies are caches."""

    sha256 = models.CharField(max_length=64, primary_key=True)
    size = models.BigIntegerField()
    media_type = models.CharField(max_length=100, blank=True)
    created = models.DateTimeField(auto_now_add=True)
    deleted = models.DateTimeField(null=True, blank=True, help_text="Set when nodes must drop their copies too.")

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
