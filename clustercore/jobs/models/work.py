"""What was asked, what it was cut into, and who tried it. Rules live in domain/, transitions in services/."""

from __future__ import annotations

from enum import StrEnum

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.functions import RandomUUID
from django.db import models
from django.db.models import F, Q

from clustercore.jobs.domain.joins import InputOutcome
from clustercore.jobs.domain.lifecycle import AttemptOutcome, JobState, UnitState
from clustercore.nodes.models import Node


def choices(states: type[StrEnum]) -> list[tuple[str, str]]:
    """Returns the states with the words in which forms show them."""
    return [(state.value, state.value.replace("_", " ")) for state in states]


class Job(models.Model):
    """What a user asked for."""

    key = models.UUIDField(
        db_default=RandomUUID(), unique=True, editable=False, help_text="Names it beyond this ledger's own numbers."
    )
    kind = models.CharField(max_length=40)
    title = models.CharField(max_length=300)
    state = models.CharField(max_length=12, choices=choices(JobState), default=JobState.RUNNING)
    stage = models.CharField(max_length=40, blank=True)
    priority = models.SmallIntegerField(default=0, help_text="Higher goes first; -100 to 100.")
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="jobs",
        help_text="Who asked; empty for the command line. Without an owner it is the administrators'.",
    )
    shared = models.BooleanField(default=False, help_text="Everybody who may sign in may read it.")
    parameters = models.JSONField(default=dict)
    language = models.CharField(max_length=12, null=True, blank=True, help_text="Decided once for the whole job.")
    needs = ArrayField(
        models.TextField(),
        null=True,
        blank=True,
        default=list,
        db_default=[],
        help_text="Traits that every model must have which serves its ranked units; NULL while they are not known.",
    )
    min_rung = models.SmallIntegerField(
        null=True, blank=True, help_text="Lowest rung allowed; empty: one below the best."
    )
    accept_lower_after = models.FloatField(
        null=True, blank=True, help_text="Seconds after which any rung may take part."
    )
    critical_accuracy = models.BooleanField(default=False)
    floor = models.SmallIntegerField(
        null=True, blank=True, help_text="The lowest rung that may serve, as it was decided once; it may only fall."
    )
    floor_unserved_since = models.DateTimeField(
        null=True, blank=True, help_text="Since when no node that takes work reaches the floor."
    )
    engine = models.CharField(max_length=60, blank=True, help_text="Only this engine; empty: the ladder decides.")
    model = models.CharField(max_length=200, blank=True, help_text="Only this model of that engine.")
    idempotency_key = models.CharField(
        max_length=200, null=True, blank=True, help_text="Unique among its owner's jobs."
    )
    request_digest = models.CharField(
        max_length=64, blank=True, default="", help_text="SHA-256 of all that was asked; kept where there is a key."
    )
    error = models.TextField(blank=True)
    waiting = models.CharField(max_length=400, blank=True, help_text="Why nothing happens now, and the remedy.")
    parent = models.ForeignKey(
        "self",
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="children",
        help_text="The job for which this one is done; cancelling that cancels this.",
    )
    gaps = models.PositiveIntegerField(db_default=0, help_text="Units without which it was done all the same.")
    created = models.DateTimeField()
    finished = models.DateTimeField(null=True, blank=True)
    changed = models.BigIntegerField(
        db_default=0, editable=False, help_text="Grows whenever something of it, or of a unit of it, has changed."
    )
    shortened = models.DateTimeField(
        null=True, blank=True, help_text="When its story, and the tries that came to nothing, were removed."
    )

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(fields=["owner", "idempotency_key"], name="one_job_per_owner_and_key"),
            models.UniqueConstraint(
                fields=["idempotency_key"], condition=Q(owner=None), name="one_unowned_job_per_key"
            ),
        ]
        # What is asked each second must not grow with what was done in a year.
        indexes = [
            models.Index(fields=["owner", "-id"], name="job_by_owner"),
            models.Index(
                fields=["-priority", "id"], condition=Q(state__in=["running", "paused"]), name="job_open_in_order"
            ),
            models.Index(
                fields=["-finished", "-id"], condition=Q(state__in=["done", "cancelled"]), name="job_ended_by_time"
            ),
            models.Index(fields=["-finished"], condition=Q(state="failed"), name="job_failed_by_time"),
            models.Index(fields=["state", "-id"], condition=Q(state__in=["failed", "cancelled"]), name="job_broken"),
            models.Index(fields=["-finished"], condition=Q(shared=True), name="job_shared_by_time"),
            models.Index(
                fields=["finished"],
                condition=Q(finished__isnull=False) & (Q(shortened=None) | Q(shortened__lt=F("finished"))),
                name="job_to_be_shortened",
            ),
        ]

    def __str__(self) -> str:
        return f"job {self.pk}: {self.title}"


class Unit(models.Model):
    """A piece any able node can do. Triggers of the database note queued ones in `Ready`."""

    # No index: the unique constraint begins with it.
    job = models.ForeignKey(Job, on_delete=models.CASCADE, related_name="units", db_index=False)
    stage = models.CharField(max_length=40)
    ordinal = models.PositiveIntegerField()
    capability = models.CharField(max_length=40)
    contract = models.SmallIntegerField(
        db_default=1, help_text="That of its stage when it was queued: who knows another number is not given it."
    )
    ranked = models.BooleanField(default=False)
    needs = ArrayField(
        models.TextField(), default=list, db_default=[], blank=True, help_text="Traits that the model must have."
    )
    prefers = ArrayField(
        models.TextField(),
        default=list,
        db_default=[],
        blank=True,
        help_text="Traits that it must have too, unless no live node offers them.",
    )
    group = models.CharField(max_length=60, db_default="", help_text="Units of one group can be waited for together.")
    payload = models.JSONField(default=dict)
    weight = models.FloatField(default=1.0)
    priority = models.SmallIntegerField(db_default=0, help_text="Within its job; higher goes first.")
    deadline = models.DateTimeField(null=True, blank=True, help_text="After that it is not begun any more.")
    state = models.CharField(max_length=12, choices=choices(UnitState), default=UnitState.QUEUED)
    run_after = models.DateTimeField(null=True, blank=True)
    leased_at = models.DateTimeField(null=True, blank=True, help_text="When it was last taken.")
    attempts_made = models.PositiveIntegerField(default=0)
    failures = models.PositiveIntegerField(default=0, help_text="Verdicts Retry so far.")
    strikes = models.PositiveSmallIntegerField(default=0, help_text="Crashes proved; three make it dead.")
    excluded_nodes = ArrayField(models.BigIntegerField(), default=list, blank=True)
    excluded_until = models.DateTimeField(
        null=True, blank=True, help_text="After that the excluded nodes may try again."
    )
    avoid_node = models.ForeignKey(
        Node, null=True, blank=True, on_delete=models.SET_NULL, related_name="+", db_index=False
    )
    avoid_until = models.DateTimeField(
        null=True, blank=True, help_text="Until then another node is given the first try."
    )
    progress = models.FloatField(default=0.0)
    quorum = models.PositiveSmallIntegerField(
        null=True, blank=True, help_text="So many inputs are enough; empty: all that can be had."
    )
    join_until = models.DateTimeField(null=True, blank=True, help_text="Until then it waits for its inputs.")
    open_inputs = models.PositiveIntegerField(db_default=0)
    done_inputs = models.PositiveIntegerField(db_default=0)
    unsent = models.BooleanField(
        db_default=True, help_text="No message is on its way that runs it once its inputs are closed."
    )
    result = models.JSONField(null=True, blank=True)
    files = models.JSONField(db_default={}, blank=True, help_text="By name: hash, size and media type of each blob.")
    error = models.TextField(blank=True)
    hold_reason = models.CharField(max_length=400, blank=True)
    created = models.DateTimeField()
    once = models.BooleanField(db_default=False, help_text="Nobody does it a second time unless a person says so.")
    finished = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["job", "id"]
        constraints = [
            models.UniqueConstraint(fields=["job", "stage", "ordinal"], name="one_unit_per_stage_and_ordinal")
        ]
        indexes = [
            models.Index(
                fields=["job", "stage", "capability", "contract", "ranked", "needs", "prefers", "-priority", "id"],
                condition=Q(state="queued"),
                name="unit_queued_by_demand",
            ),
            # Counting by stage and state, and walking one state in order, read nothing but this.
            models.Index(fields=["job", "state", "stage", "ordinal"], include=["weight"], name="unit_by_job_and_state"),
            # A claim and a settle write an entry into each index that has the unit: what is over is in none of these.
            models.Index(
                fields=["job", "state"],
                condition=Q(state__in=["blocked", "queued", "leased", "held"]),
                name="unit_open_by_job",
            ),
            models.Index(fields=["job"], condition=Q(state="dead"), name="unit_dead_by_job"),
            # A claim clears it, and need not write here for that.
            models.Index(fields=["avoid_node"], condition=Q(avoid_node__isnull=False), name="unit_by_avoided_node"),
            models.Index(
                fields=["job", "join_until"],
                condition=Q(state="blocked", join_until__isnull=False),
                name="unit_by_job_and_join_until",
            ),
            models.Index(
                fields=["job", "deadline"],
                condition=Q(state__in=["blocked", "queued", "held"], deadline__isnull=False),
                name="unit_by_job_and_deadline",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.stage} {self.ordinal} of job {self.job_id}"


class UnitAfter(models.Model):
    """A unit waits for another one, or for a whole stage of its job."""

    job = models.ForeignKey(Job, on_delete=models.CASCADE, related_name="+")
    unit = models.ForeignKey(Unit, on_delete=models.CASCADE, related_name="inputs")
    after = models.ForeignKey(Unit, null=True, blank=True, on_delete=models.CASCADE, related_name="+")
    stage = models.CharField(max_length=40, blank=True, help_text="All of this stage, where no unit is named.")
    group = models.CharField(max_length=60, blank=True)
    outcome = models.CharField(max_length=8, choices=choices(InputOutcome), default=InputOutcome.OPEN)

    def __str__(self) -> str:
        return f"unit {self.unit_id} after {self.after_id or self.stage}"


class JobBlob(models.Model):
    """A unit of a job needs these bytes: as long as the row stands, they are not deleted."""

    job = models.ForeignKey(Job, on_delete=models.CASCADE, related_name="blobs")
    # No index: the unique constraint begins with it.
    unit = models.ForeignKey(Unit, on_delete=models.CASCADE, related_name="blobs", db_index=False)
    sha256 = models.CharField(max_length=64)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["unit", "sha256"], name="one_reference_per_unit_and_blob")]
        indexes = [models.Index(fields=["sha256"], name="reference_by_blob")]

    def __str__(self) -> str:
        return f"{self.sha256[:12]} for unit {self.unit_id}"


class Attempt(models.Model):
    """One node's try at a unit."""

    # No index: the unique constraint begins with it.
    unit = models.ForeignKey(Unit, on_delete=models.CASCADE, related_name="attempts", db_index=False)
    key = models.UUIDField(
        db_default=RandomUUID(),
        unique=True,
        editable=False,
        help_text="Whoever knows it may end it; made by the claim.",
    )
    number = models.PositiveIntegerField()
    node = models.ForeignKey(Node, null=True, on_delete=models.SET_NULL, related_name="attempts")
    node_name = models.CharField(max_length=120)
    instance = models.UUIDField(help_text="The worker process that holds it.")
    boot_id = models.CharField(max_length=64, db_default="", help_text="Which start of its machine claimed it.")
    outcome = models.CharField(max_length=12, choices=choices(AttemptOutcome), default=AttemptOutcome.LIVE)
    lease_until = models.DateTimeField()
    started = models.DateTimeField()
    ended = models.DateTimeField(null=True, blank=True)
    reason = models.TextField(blank=True)
    served_by = models.JSONField(default=dict, blank=True, help_text="Engine, model, rung, seconds, speed factor.")
    fenced_results = models.PositiveIntegerField(default=0, help_text="Late results that changed nothing.")

    class Meta:
        ordering = ["unit", "number"]
        constraints = [models.UniqueConstraint(fields=["unit", "number"], name="one_attempt_per_number")]
        indexes = [
            models.Index(fields=["lease_until"], condition=Q(outcome="live"), name="attempt_live_by_lease"),
            models.Index(fields=["instance"], condition=Q(outcome="live"), name="attempt_live_by_instance"),
            models.Index(fields=["ended"], condition=Q(outcome="done"), name="attempt_done_by_end"),
        ]

    def __str__(self) -> str:
        return f"attempt {self.number} at unit {self.unit_id} on {self.node_name}"


class Question(models.Model):
    """What a person is asked about a held unit. It is open until it is answered or withdrawn."""

    unit = models.ForeignKey(Unit, on_delete=models.CASCADE, related_name="questions")
    job = models.ForeignKey(Job, on_delete=models.CASCADE, related_name="questions")
    text = models.TextField()
    options = ArrayField(models.CharField(max_length=40))
    of_outcome = models.BooleanField(db_default=False, help_text="It asks whether the unit was done.")
    bound_to = models.CharField(
        max_length=200, blank=True, db_default="", help_text="Hash of the arguments that an approval is for."
    )
    until = models.DateTimeField(null=True, blank=True, help_text="Then the unit ends as `default` says.")
    default = models.CharField(max_length=4, blank=True, db_default="")
    created = models.DateTimeField()
    answer = models.CharField(max_length=40, blank=True, db_default="")
    answered_by = models.CharField(max_length=200, blank=True, db_default="")
    answered = models.DateTimeField(null=True, blank=True)
    withdrawn = models.DateTimeField(
        null=True, blank=True, help_text="Since then nobody needs to answer; at or after `until`: nobody did."
    )

    class Meta:
        ordering = ["id"]
        indexes = [
            models.Index(fields=["job"], condition=Q(answer="", withdrawn=None), name="question_open_by_job"),
            models.Index(fields=["until"], condition=Q(answer="", withdrawn=None), name="question_open_by_until"),
        ]

    def __str__(self) -> str:
        return self.text


class JobEvent(models.Model):
    """What happened to a job, in the words a person reads; also the stream that watchers follow."""

    # No index: that of the job and the number begins with it.
    job = models.ForeignKey(Job, on_delete=models.CASCADE, related_name="events", db_index=False)
    unit = models.ForeignKey(Unit, null=True, blank=True, on_delete=models.CASCADE, related_name="+", db_index=False)
    at = models.DateTimeField()
    name = models.CharField(max_length=40)
    text = models.TextField()
    node_name = models.CharField(max_length=120, blank=True)

    class Meta:
        ordering = ["id"]
        indexes = [
            models.Index(fields=["job", "id"]),
            models.Index(fields=["unit"], condition=Q(unit__isnull=False), name="event_by_unit"),
        ]

    def __str__(self) -> str:
        return self.text
