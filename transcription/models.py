"""Recordings, the pieces they were cut into, what was heard, and the transcript."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models.functions import Now

from clustercore.jobs.models import Job, Unit
from transcription.domain.speakers import LABEL_CHARACTERS, NAME_CHARACTERS


class Recording(models.Model):
    """The file behind a transcription job."""

    job = models.OneToOneField(Job, on_delete=models.CASCADE, related_name="recording")
    blob = models.CharField(max_length=64, help_text="SHA-256 of the file as it came.")
    name = models.CharField(max_length=300, help_text="The user's file name; only ever shown as text.")
    container = models.CharField(max_length=60, blank=True)
    codec = models.CharField(max_length=60, blank=True)
    sample_rate = models.PositiveIntegerField(null=True, blank=True)
    channels = models.PositiveSmallIntegerField(null=True, blank=True)
    seconds = models.FloatField(null=True, blank=True, help_text="Known exactly once cutting is complete.")

    def __str__(self) -> str:
        return self.name


class Piece(models.Model):
    """One cut of a recording, in samples at 16 kHz; recorded in the same transaction that queues its unit."""

    recording = models.ForeignKey(Recording, on_delete=models.CASCADE, related_name="pieces")
    unit = models.OneToOneField(Unit, on_delete=models.CASCADE, related_name="piece")
    ordinal = models.PositiveIntegerField()
    start_sample = models.BigIntegerField()
    end_sample = models.BigIntegerField()
    blob = models.CharField(max_length=64)

    class Meta:
        ordering = ["recording", "ordinal"]
        constraints = [models.UniqueConstraint(fields=["recording", "ordinal"], name="one_piece_per_ordinal")]

    def __str__(self) -> str:
        return f"piece {self.ordinal} of {self.recording_id}"


class Segment(models.Model):
    """What was heard between two moments of a recording, and who heard it."""

    recording = models.ForeignKey(Recording, on_delete=models.CASCADE, related_name="segments")
    piece = models.ForeignKey(Piece, on_delete=models.CASCADE, related_name="segments")
    position = models.PositiveIntegerField(help_text="Place within its piece.")
    start = models.FloatField(help_text="Seconds from the start of the recording.")
    end = models.FloatField()
    text = models.TextField()
    words = models.JSONField(default=list, blank=True, help_text='[{"word", "start", "end", "probability"}]')
    node_name = models.CharField(max_length=120)
    engine = models.CharField(max_length=60)
    model = models.CharField(max_length=200)
    rung = models.SmallIntegerField()
    real_time_factor = models.FloatField(help_text="Seconds of work per second of audio.")
    speaker = models.CharField(
        max_length=LABEL_CHARACTERS,
        blank=True,
        default="",
        db_default="",
        help_text="The engine's label for who speaks.",
    )

    class Meta:
        ordering = ["recording", "piece__ordinal", "position"]
        constraints = [models.UniqueConstraint(fields=["piece", "position"], name="one_segment_per_position")]

    def __str__(self) -> str:
        return self.text


class Speaker(models.Model):
    """What people call a speaker of a recording, whom engines and people tell apart by a label."""

    recording = models.ForeignKey(Recording, on_delete=models.CASCADE, related_name="speakers")
    label = models.CharField(max_length=LABEL_CHARACTERS)
    name = models.CharField(max_length=NAME_CHARACTERS)

    class Meta:
        ordering = ["recording", "label"]
        constraints = [models.UniqueConstraint(fields=["recording", "label"], name="one_speaker_per_label")]

    def __str__(self) -> str:
        return self.name


class Remark(models.Model):
    """Something that a person said about a segment; what was heard stays as it is. The latest that was not withdrawn
    counts, and none is ever changed or removed but with the whole job."""

    segment = models.ForeignKey(Segment, on_delete=models.CASCADE, related_name="%(class)ss")
    author = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
    author_name = models.CharField(max_length=150, help_text="Kept when the user is removed.")
    at = models.DateTimeField(db_default=Now())
    withdrawn = models.DateTimeField(null=True, blank=True, help_text="When somebody undid it.")

    class Meta:
        abstract = True
        ordering = ["id"]


class Correction(Remark):
    """What a person wrote over one word, or over a whole segment."""

    word = models.PositiveIntegerField(
        null=True, blank=True, help_text="Its place among the words heard, from 0; empty: the whole segment."
    )
    text = models.TextField(blank=True, help_text="Empty: deleted.")
    replaced = models.TextField(blank=True, help_text="What was read there before.")

    def __str__(self) -> str:
        return f"{self.replaced!r} became {self.text!r}"


class SpeakerTurn(Remark):
    """Who speaks, as a person says: from a segment on, or in it alone."""

    label = models.CharField(max_length=LABEL_CHARACTERS, blank=True, help_text="Empty: nobody knows.")
    alone = models.BooleanField(default=False, help_text="In this segment alone, not from it on.")

    def __str__(self) -> str:
        return f"{self.label or 'nobody'} {'in' if self.alone else 'from'} segment {self.segment_id}"


class Transcript(models.Model):
    """The merged text of a recording, as it was heard."""

    recording = models.OneToOneField(Recording, on_delete=models.CASCADE, related_name="transcript")
    text = models.TextField()
    language = models.CharField(max_length=12, blank=True)
    sha256 = models.CharField(max_length=64, help_text="Of the text, so that two runs can be compared.")
    created = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return self.text[:80]
