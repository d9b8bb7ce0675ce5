"""How the tests' kind of job shows itself: what another kind would bring, in a few lines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rest_framework import serializers

from clustercore.jobs.domain.presentation import Facts, Presentation


class SumFactsSerializer(serializers.Serializer[Any]):
    addends = serializers.IntegerField(help_text="How many numbers are added.")


def facts_of(ids: Sequence[int]) -> Mapping[int, Facts]:
    return {one: {"addends": 3, "secret": "not in the serializer"} for one in ids}


SUMS = Presentation(
    kind="sums",
    noun="Sum",
    facts=facts_of,
    serializer="tests.fakes.jobs.presentations:SumFactsSerializer",
    fragment="jobs/sums.html",
    result_url=lambda job_id: f"/sums/{job_id}/",
    new_url=lambda: "/sum/",
)
