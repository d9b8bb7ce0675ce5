"""What the API says of jobs, field by field. Answers are built as plain values (bodies.py); this describes them."""

from __future__ import annotations

from typing import Any

from django.utils.module_loading import import_string
from rest_framework import serializers

from clustercore.access.api import StrictSerializer
from clustercore.jobs.domain.lifecycle import AttemptOutcome, JobState, UnitState
from clustercore.jobs.domain.presentation import Presentation, presentations
from clustercore.jobs.domain.progress import ASKING, WAITING
from clustercore.jobs.domain.questions import LONGEST_HASH, LONGEST_OPTION, STATES

TITLE_CHARACTERS = 300


def serializer_of(presentation: Presentation) -> type[serializers.Serializer[Any]]:
    """The class that a kind describes its facts with."""
    found: type[serializers.Serializer[Any]] = import_string(presentation.serializer.replace(":", "."))
    return found


def fact_serializers() -> list[type[serializers.Serializer[Any]]]:
    """Those of all kinds, asked when the schema is made: a kind that registers itself is in it, and named nowhere."""
    return list(dict.fromkeys(serializer_of(presentation) for presentation in presentations()))


class ResultSerializer(serializers.Serializer[Any]):
    """What is told of a job whose kind tells nothing else."""

    result = serializers.JSONField(
        allow_null=True, help_text="What the last stage made; of several units a list, in order; null until then."
    )


class FactsField(serializers.Field[Any, Any, Any, Any]):
    """What only the kind of a job knows; null for a kind that tells nothing."""


class UnitCountsSerializer(serializers.Serializer[Any]):
    done = serializers.IntegerField()
    running = serializers.IntegerField()
    failed = serializers.IntegerField()
    total = serializers.IntegerField()
    all_queued = serializers.BooleanField(help_text="Whether `total` is final, so that `fraction` is of the whole.")


class NodeShareSerializer(serializers.Serializer[Any]):
    node = serializers.CharField()
    served_by = serializers.CharField(help_text="`engine:model`; empty before the first unit is done.")
    rung = serializers.IntegerField(allow_null=True)
    done = serializers.IntegerField()
    running = serializers.IntegerField()
    work_seconds = serializers.FloatField()
    audio_seconds = serializers.FloatField()
    speed = serializers.FloatField(allow_null=True, help_text="Seconds of sound per second of work.")


class StageCountsSerializer(serializers.Serializer[Any]):
    stage = serializers.CharField()
    total = serializers.IntegerField()
    states = serializers.DictField(
        child=serializers.IntegerField(min_value=1),
        help_text="How many units are in each state, of those that there are.",
    )


class JobSerializer(serializers.Serializer[Any]):
    """A job in a list."""

    id = serializers.IntegerField()
    kind = serializers.CharField()
    title = serializers.CharField()
    state = serializers.ChoiceField(choices=[state.value for state in JobState])
    standing = serializers.ChoiceField(
        choices=[ASKING, WAITING, *(state.value for state in JobState)],
        help_text=(
            "As `state`, but `asking` for a running job that waits for a person, and `waiting` for one of which "
            "nothing has begun, or that cannot go on."
        ),
    )
    stage = serializers.CharField(help_text="What is done now, else what is waited for.")
    priority = serializers.IntegerField(min_value=-100, max_value=100, help_text="Higher goes first.")
    language = serializers.CharField(
        allow_null=True, help_text="ISO 639-1; null while undecided, empty where nobody was heard to speak."
    )
    waiting = serializers.CharField(help_text="Why nothing happens now, and the remedy; empty while it goes on.")
    asks = serializers.CharField(help_text="What a person is asked first; empty while nothing is.")
    place = serializers.IntegerField(
        allow_null=True,
        help_text="Its place in line, 1 for the next to begin; 501 for each behind so many; null once it has begun.",
    )
    starts_in_seconds = serializers.FloatField(
        allow_null=True, help_text="An expectation; null where there is no ground for one."
    )
    error = serializers.CharField(help_text="Why it failed or was cancelled; else empty.")
    gaps = serializers.IntegerField(
        min_value=0,
        help_text="Units without which it was done; while these are tried again, how many they were. 0: it is whole.",
    )
    owner = serializers.CharField(help_text="Who asked; empty for the command line.")
    shared = serializers.BooleanField(help_text="Whether everybody who may sign in may read it.")
    created = serializers.DateTimeField()
    finished = serializers.DateTimeField(allow_null=True)
    elapsed_seconds = serializers.FloatField(help_text="Since it was asked for; waited and worked together.")
    waited_seconds = serializers.FloatField(help_text="While no node had any of it in hand.")
    worked_seconds = serializers.FloatField(help_text="On the clock, while any node had some of it in hand.")
    speed = serializers.FloatField(
        allow_null=True, help_text="Seconds of sound heard per second worked, all nodes together."
    )
    seconds_left = serializers.FloatField(allow_null=True, help_text="A guess; null where there is no ground for one.")
    fraction = serializers.FloatField(help_text="0 to 1.")
    units = UnitCountsSerializer(help_text="Units of the kind's main stage: the pieces of a recording, say.")


class JobDetailSerializer(JobSerializer):
    """One job in full."""

    stages = StageCountsSerializer(many=True, help_text="All its units by stage and state, in the order of the stages.")
    units_per_minute = serializers.FloatField(
        allow_null=True, help_text="How fast a job of more than 500 units goes now; null for others."
    )
    shares = NodeShareSerializer(
        many=True,
        help_text="What each node did of it; of a job of more than 500 units, up to some seconds ago.",
    )
    facts = FactsField(allow_null=True)
    result_url = serializers.CharField(
        allow_null=True, help_text="Where a person reads the result; null until there is one."
    )


class JobPageSerializer(serializers.Serializer[Any]):
    results = JobSerializer(many=True)
    next_cursor = serializers.CharField(allow_null=True, help_text="Send it as `cursor`; null on the last page.")


class UnitFileSerializer(serializers.Serializer[Any]):
    name = serializers.CharField(help_text="Taken from `GET /jobs/{job_id}/units/{unit_id}/files/{name}`.")
    size = serializers.IntegerField(help_text="Bytes.")
    media_type = serializers.CharField()
    sha256 = serializers.CharField()


class UnitSerializer(serializers.Serializer[Any]):
    id = serializers.IntegerField()
    stage = serializers.CharField()
    ordinal = serializers.IntegerField()
    state = serializers.ChoiceField(choices=[state.value for state in UnitState])
    progress = serializers.FloatField(help_text="0 to 1.")
    attempts = serializers.IntegerField()
    node = serializers.CharField(help_text="That of the latest attempt; empty before the first.")
    served_by = serializers.CharField()
    rung = serializers.IntegerField(allow_null=True)
    seconds = serializers.FloatField(allow_null=True)
    audio_seconds = serializers.FloatField(allow_null=True)
    speed = serializers.FloatField(allow_null=True, help_text="Seconds of sound per second of work.")
    device = serializers.CharField()
    note = serializers.CharField(help_text="What went wrong or is waited for; else empty.")
    files = UnitFileSerializer(many=True, help_text="What it made besides its result, by name.")


class UnitFilterSerializer(serializers.Serializer[Any]):
    """Which units a list shows."""

    state = serializers.ChoiceField(required=False, choices=[state.value for state in UnitState])
    stage = serializers.CharField(required=False, max_length=40, help_text="`transcribe`, say.")


class UnitPageSerializer(serializers.Serializer[Any]):
    results = UnitSerializer(many=True)
    next_cursor = serializers.CharField(allow_null=True)


class AttemptSerializer(serializers.Serializer[Any]):
    id = serializers.IntegerField()
    unit_id = serializers.IntegerField()
    stage = serializers.CharField()
    ordinal = serializers.IntegerField()
    number = serializers.IntegerField()
    node = serializers.CharField()
    outcome = serializers.ChoiceField(choices=[outcome.value for outcome in AttemptOutcome])
    started = serializers.DateTimeField()
    ended = serializers.DateTimeField(allow_null=True)
    reason = serializers.CharField()
    served_by = serializers.CharField()


class AttemptPageSerializer(serializers.Serializer[Any]):
    results = AttemptSerializer(many=True)
    next_cursor = serializers.CharField(allow_null=True)


class EventSerializer(serializers.Serializer[Any]):
    id = serializers.IntegerField()
    at = serializers.DateTimeField()
    name = serializers.CharField()
    text = serializers.CharField()
    node = serializers.CharField()


class EventPageSerializer(serializers.Serializer[Any]):
    results = EventSerializer(many=True)
    next_cursor = serializers.CharField(allow_null=True)


class QuestionSerializer(serializers.Serializer[Any]):
    id = serializers.IntegerField()
    unit_id = serializers.IntegerField()
    stage = serializers.CharField()
    ordinal = serializers.IntegerField()
    text = serializers.CharField()
    options = serializers.ListField(
        child=serializers.CharField(), help_text="One of these is an answer; `skip` ends the unit, and the job goes on."
    )
    bound_to = serializers.CharField(help_text="Hash of the arguments that an approval is for; empty for none.")
    until = serializers.DateTimeField(allow_null=True, help_text="Then it ends as `default` says.")
    default = serializers.CharField(help_text="`skip` or `fail`; empty where there is no end.")
    created = serializers.DateTimeField()
    state = serializers.ChoiceField(choices=list(STATES))
    answer = serializers.CharField()
    answered_by = serializers.CharField()
    answered = serializers.DateTimeField(allow_null=True)


class QuestionPageSerializer(serializers.Serializer[Any]):
    results = QuestionSerializer(many=True)
    next_cursor = serializers.CharField(allow_null=True)


class AnswerSerializer(StrictSerializer):
    """What a person chose, and what they were shown."""

    option = serializers.CharField(max_length=LONGEST_OPTION, help_text="One of the question's `options`.")
    bound_to = serializers.CharField(
        max_length=LONGEST_HASH,
        allow_blank=True,
        help_text="That of the question, as it was shown: given back unchanged.",
    )


class CauseSerializer(serializers.Serializer[Any]):
    cause = serializers.CharField(help_text="The error, with N for its numbers and … for names of files and hashes.")
    jobs = serializers.IntegerField()
    newest = serializers.ListField(child=serializers.IntegerField(), help_text="Ids of the last five, newest first.")
    last_failed = serializers.DateTimeField(allow_null=True)


class CauseListSerializer(serializers.Serializer[Any]):
    results = CauseSerializer(many=True)


class JobChangeSerializer(StrictSerializer):
    """What may be changed of a job; all else is refused."""

    title = serializers.CharField(required=False, max_length=TITLE_CHARACTERS)
    priority = serializers.IntegerField(required=False, min_value=-100, max_value=100)
    shared = serializers.BooleanField(required=False)
