"""Machines and what they said of themselves."""

from __future__ import annotations

from django.contrib.postgres.fields import ArrayField
from django.db import models


class Node(models.Model):
    """One worker process on one machine. Its own agent writes the row; an operator may only drain it."""

    name = models.CharField(max_length=120, unique=True)
    hostname = models.CharField(max_length=255)
    instance = models.UUIDField(help_text="Changes each time the worker process starts.")
    boot_id = models.CharField(max_length=64, help_text="Changes each time the machine starts.")
    process_id = models.IntegerField()
    protocol = models.SmallIntegerField(db_default=0, help_text="Which rules between hub and nodes it knows.")
    protocol_instance = models.UUIDField(
        null=True, help_text="The worker process that said so; where it is not `instance`, that one knows older rules."
    )
    operating_system = models.CharField(max_length=120)
    architecture = models.CharField(max_length=40)
    cores = models.PositiveIntegerField()
    memory_mb = models.PositiveIntegerField()
    gpus = models.JSONField(default=list, blank=True)
    version = models.CharField(max_length=40)
    slots = models.PositiveSmallIntegerField(default=1)
    capabilities = ArrayField(models.CharField(max_length=40), default=list)
    contracts = ArrayField(
        models.TextField(), default=list, db_default=[], help_text="The kinds of work it knows: kind/stage/number."
    )
    self_test = models.JSONField(default=dict, blank=True)
    drained = models.BooleanField(default=False, help_text="Takes no new work; set by an operator.")
    hold_reason = models.CharField(max_length=400, blank=True, help_text="Why it takes no work now; empty if it does.")
    idle_reason = models.CharField(max_length=400, blank=True, help_text="Why waiting work is not for this node.")
    online = models.BooleanField(default=True, db_index=True)
    heartbeat_seconds = models.FloatField(default=5.0)
    last_seen = models.DateTimeField(db_index=True)
    started = models.DateTimeField()

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


class NodeModel(models.Model):
    """One model a node can serve (or cannot, with the reason): its inventory, as its engines' adapters told it."""

    node = models.ForeignKey(Node, on_delete=models.CASCADE, related_name="inventory")
    capability = models.CharField(max_length=40)
    engine = models.CharField(max_length=60)
    model = models.CharField(max_length=200)
    traits = ArrayField(models.TextField(), default=list, db_default=[], help_text="What it can do beside that.")
    rung = models.SmallIntegerField(default=0, help_text="Higher is better; 0 is the last.")
    memory_mb = models.PositiveIntegerField(default=0)
    usable = models.BooleanField(default=True)
    reason = models.CharField(max_length=400, blank=True)

    class Meta:
        ordering = ["node", "capability", "-rung"]
        constraints = [
            models.UniqueConstraint(fields=["node", "capability", "engine", "model"], name="one_row_per_node_and_model")
        ]
        indexes = [models.Index(fields=["capability", "usable", "rung"])]

    def __str__(self) -> str:
        return f"{self.engine}:{self.model} on {self.node_id}"


class PullState(models.TextChoices):
    """How far a model is that a node was asked to bring."""

    ASKED = "asked"
    PULLING = "pulling"
    DONE = "done"
    FAILED = "failed"


class ModelPull(models.Model):
    """A model that a node was asked to bring. Whoever asks writes the row; the node says there how far it is."""

    node = models.ForeignKey(Node, on_delete=models.CASCADE, related_name="pulls")
    label = models.CharField(max_length=261, help_text="engine:model.")
    state = models.CharField(max_length=10, choices=PullState.choices, default=PullState.ASKED)
    done_bytes = models.BigIntegerField(default=0)
    total_bytes = models.BigIntegerField(default=0, help_text="About; 0 is not known.")
    message = models.CharField(max_length=400, blank=True, help_text="Where it comes from, or why it failed.")
    asked = models.DateTimeField()

    class Meta:
        ordering = ["pk"]
        constraints = [models.UniqueConstraint(fields=["node", "label"], name="one_pull_per_node_and_label")]

    def __str__(self) -> str:
        return f"{self.label} on {self.node_id}: {self.state}"
