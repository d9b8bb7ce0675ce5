"""How much it costs to follow: the number of queries does not grow with what is followed."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import connection
from django.db.models.functions import Now
from django.test.utils import CaptureQueriesContext

from clustercore.access.domain.identity import Identity
from clustercore.jobs.domain.verdict import Ask, Done, Fail
from clustercore.jobs.models import Job, Question
from clustercore.jobs.selectors.change_fingerprint import activity_now, pulses
from clustercore.jobs.services import telling
from clustercore.jobs.services.answering import answer_question
from clustercore.jobs.services.claim import claim
from clustercore.jobs.services.control import cancel_job
from clustercore.jobs.services.settle import settle
from clustercore.jobs.topics import JOB, JOBS
from clustercore.live.domain.topics import Facts, Topic
from clustercore.live.domain.viewers import viewer_key
from clustercore.nodes import services as node_services
from clustercore.nodes.models import ModelPull, Node
from clustercore.telemetry.topics import CLUSTER, NODES
from tests.cast import LAPTOP, WORKSTATION, as_claimant, start_node
from tests.fakes.nodes.polling import until
from tests.integration.jobs.conftest import with_parts
from tests.people import identity, person


def queries_of(topic: Topic, known: dict[str, Facts | None]) -> tuple[int, dict[str, Facts]]:
    with CaptureQueriesContext(connection) as captured:
        found = dict(topic.load(known))
    return len(captured), found


def all_told() -> None:
    """Waits until every change so far is written into its job."""
    until(lambda: telling._TELLER.is_at_rest)


def key_of(who: Identity) -> str:
    return viewer_key(who, "")


def test_whatever_is_written_is_activity_and_reading_is_none() -> None:
    node = start_node(LAPTOP)
    quiet = activity_now()
    # Now and then the server itself writes.
    assert any(activity_now() == before for before in (activity_now() for _ in range(20)))
    assert not quiet.is_working
    node.save()
    seen = activity_now()
    assert (seen.mark, seen.written != quiet.written) == (quiet.mark, True)
    with_parts(1)
    submitted = activity_now()
    assert submitted.mark != seen.mark
    assert not submitted.is_working
    taken = claim(as_claimant(node))
    assert taken is not None
    assert activity_now().is_working
    settle(taken.key, Done({}))
    assert not activity_now().is_working


def test_while_nothing_changes_many_jobs_cost_one_query() -> None:
    start_node(LAPTOP)
    jobs = [with_parts(3)[0] for _ in range(4)]
    all_told()
    few, found = queries_of(JOB, {str(jobs[0].pk): None})
    many, found = queries_of(JOB, {str(job.pk): None for job in jobs})
    assert few == many > 1
    again, same = queries_of(JOB, dict(found))
    assert again == 1
    assert all(same[key] is found[key] for key in found)


def test_only_the_job_that_changed_is_read_again() -> None:
    node = start_node(LAPTOP)
    jobs = [with_parts(2)[0] for _ in range(3)]
    all_told()
    _, found = queries_of(JOB, {str(job.pk): None for job in jobs})
    taken = claim(as_claimant(node))
    assert taken is not None
    settle(taken.key, Done({}))
    all_told()
    _, after = queries_of(JOB, dict(found))
    assert [key for key in found if after[key] is not found[key]] == [str(taken.job_id)]
    assert after[str(taken.job_id)]["job"].done == 1


def test_a_pulse_reads_no_unit() -> None:
    job, _ = with_parts(30)
    with CaptureQueriesContext(connection) as captured:
        pulses([job.pk])
    [query] = captured.captured_queries
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN {query['sql']}")
        plan = "\n".join(row[0] for row in cursor.fetchall())
    assert "jobs_job" in plan and "jobs_unit" not in plan


def test_what_nobody_told_of_an_open_job_is_seen_within_a_minute() -> None:
    open_job, over = with_parts(1)[0], with_parts(1)[0]
    cancel_job(over.pk)
    before = minute_now()
    found = pulses([open_job.pk, over.pk])
    assert found[open_job.pk].rpartition("/")[2] in (before, minute_now())
    assert not found[over.pk].endswith((before, minute_now()))


def minute_now() -> str:
    with connection.cursor() as cursor:
        cursor.execute("SELECT concat(date_trunc('minute', now()))")
        return str(cursor.fetchone()[0])


def test_a_job_that_is_gone_is_missing() -> None:
    job, _ = with_parts(1)
    Job.objects.filter(pk=job.pk).delete()
    assert queries_of(JOB, {str(job.pk): None})[1] == {}


def test_all_administrators_cost_as_much_as_one() -> None:
    ada = identity("ada")
    other = Identity(10_000, "adele", ada.role)
    with_parts(1, owner_id=person("otto").pk)
    one, _ = queries_of(JOBS, {key_of(ada): None})
    both, found = queries_of(JOBS, {key_of(ada): None, key_of(other): None})
    assert one == both
    assert found[key_of(ada)] == found[key_of(other)]


def test_jobs_that_are_over_are_read_again_when_something_happened() -> None:
    node, otto = start_node(LAPTOP), identity("otto")
    key = key_of(otto)
    job, _ = with_parts(1, owner_id=otto.user_id)
    first, found = queries_of(JOBS, {key: None})
    quiet, _ = queries_of(JOBS, dict(found))
    assert quiet < first
    taken = claim(as_claimant(node))
    assert taken is not None
    settle(taken.key, Fail("no room on the disk"))
    _, after = queries_of(JOBS, dict(found))
    assert [cause.cause for cause in after[key]["failures"].causes] == ["no room on the disk"]
    cancelled, _ = with_parts(1, owner_id=otto.user_id)
    cancel_job(cancelled.pk)
    _, last = queries_of(JOBS, dict(after))
    assert [one.id for one in last[key]["recent"]] == [cancelled.pk]
    assert job.pk in last[key]["failures"].failed


def test_the_cluster_costs_the_same_with_more_nodes() -> None:
    start_node(LAPTOP)
    few = [queries_of(topic, {"": None})[0] for topic in (NODES, CLUSTER)]
    start_node(WORKSTATION)
    assert [queries_of(topic, {"": None})[0] for topic in (NODES, CLUSTER)] == few


@pytest.mark.parametrize("topic", [NODES, CLUSTER], ids=["nodes", "cluster"])
def test_a_sign_of_life_costs_one_query_and_every_change_of_a_node_is_read(topic: Topic) -> None:
    node = start_node(LAPTOP)
    _, found = queries_of(topic, {"": None})
    node_services.beat(node.pk, node.instance, "", "")
    again, same = queries_of(topic, dict(found))
    assert (again, same[""] is found[""]) == (1, True)
    node_services.drain(LAPTOP)
    _, drained = queries_of(topic, dict(found))
    assert drained[""] != found[""]
    Node.objects.update(drained=False, last_seen=Now() - timedelta(minutes=1))
    _, silent = queries_of(topic, dict(drained))
    assert silent[""] != found[""]
    start_node(WORKSTATION)
    _, joined = queries_of(topic, dict(silent))
    assert joined[""] != silent[""]


@pytest.mark.parametrize("topic", [NODES, CLUSTER], ids=["nodes", "cluster"])
def test_nodes_are_read_each_time_while_a_piece_is_in_hand_and_once_after_it(topic: Topic) -> None:
    node = start_node(LAPTOP)
    with_parts(1)
    first, found = queries_of(topic, {"": None})
    taken = claim(as_claimant(node))
    assert taken is not None
    for _ in range(2):
        _, working = queries_of(topic, dict(found))
        assert working[""] != found[""]
        assert queries_of(topic, dict(working))[0] == first
    settle(taken.key, Done({}))
    read, after = queries_of(topic, dict(working))
    assert (read, after[""] != working[""]) == (first, True)


def test_a_model_that_is_on_its_way_is_seen() -> None:
    node = start_node(LAPTOP)
    _, found = queries_of(NODES, {"": None})
    ModelPull.objects.create(node=node, label="vosk:small", asked=Now())
    _, asked = queries_of(NODES, dict(found))
    ModelPull.objects.update(done_bytes=5)
    _, moved = queries_of(NODES, dict(asked))
    assert found[""] != asked[""] != moved[""]


def test_who_watches_a_job_sees_that_it_waits_for_them_and_that_it_no_longer_does() -> None:
    job, _ = with_parts(1)
    taken = claim(as_claimant(start_node(LAPTOP)), None)
    assert taken is not None
    settle(taken.key, Ask("May I?", ["yes"]))
    _, asking = queries_of(JOB, {str(job.pk): None})
    answer_question(Question.objects.get().pk, "yes", "otto")
    _, going_on = queries_of(JOB, dict(asking))
    shown = [{one.id: one.make() for one in JOB.parts(str(job.pk), facts[str(job.pk)])} for facts in (asking, going_on)]
    for part in ("status", "row"):
        before, after = (parts[f"job-{job.pk}-{part}"] for parts in shown)
        assert "waits for you" in before and "May I?" in before
        assert "waits for you" not in after and "May I?" not in after
