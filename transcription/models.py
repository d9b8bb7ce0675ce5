"""Recordings, the pieces they were cut into, what was heard, and the transcript."""

from __future__ import annotations

from django.db import models

from clustercore.jobs.models import Job, Unit


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

    class Meta:
        ordering = ["recording", "piece__ordinal", "position"]
        constraints = [models.UniqueConstraint(fields=["piece", "position"], name="one_segment_per_position")]

    def __str__(self) -> str:
        return self.text


class Transcript(models.Model):
    """The merged text of a recording."""

    recording = models.OneToOneField(Recording, on_delete=models.CASCADE, related_name="transcript")
    text = models.TextField()
    language = models.CharField(max_length=12, blank=True)
    sha256 = models.CharField(max_length=64, help_text="Of the text, so that two runs can be compared.")
    created = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return self.text[:80]
