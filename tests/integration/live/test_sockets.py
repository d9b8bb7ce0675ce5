"""Live data over the WebSocket, as pages use it: a real server, a real client, the real ledger."""

from __future__ import annotations

import json

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus

from clustercore.access.domain.roles import Permission
from clustercore.access.models import ApiToken
from clustercore.access.services.tokens import revoke_token
from clustercore.jobs.domain.verdict import Done
from clustercore.jobs.models import Job
from clustercore.jobs.services.claim import Claimed, claim
from clustercore.jobs.services.control import cancel_job, pause_job, remove_job
from clustercore.jobs.services.leases import extend_leases
from clustercore.jobs.services.settle import settle
from clustercore.live import sockets
from clustercore.live.services import pacing
from clustercore.nodes.models import Node
from tests.cast import LAPTOP, as_claimant, start_node
from tests.fakes.nodes.polling import until
from tests.integration.jobs.conftest import with_parts
from tests.integration.live.conftest import Web, follow, heard, heard_until
from tests.people import person, token_of


def taken_by(node: Node) -> Claimed:
    taken = claim(as_claimant(node))
    assert taken is not None
    return taken


def job_of(name: str, parts: int = 4) -> Job:
    job, _ = with_parts(parts, owner_id=person(name).pk)
    return job


def test_a_page_gets_the_whole_state_first_and_then_what_changed(web: Web) -> None:
    node, job = start_node(LAPTOP), job_of("otto")
    with web.open(user=person("otto")) as page:
        follow(page, f"job:{job.pk}")
        first = heard(page)
        assert first["topic"] == f"job:{job.pk}"
        assert set(first["html"]) == {
            f"job-{job.pk}-{name}" for name in ("status", "row", "shares", "events", "timeline", "pieces-0")
        }
        assert "0 of 4" in first["html"][f"job-{job.pk}-status"]

        settle(taken_by(node).key, Done({}))

        seen = heard_until(page, "1 of 4")
        assert seen["version"] > first["version"]
        assert f"job-{job.pk}-events" not in seen["html"]


def test_progress_within_a_piece_is_seen(web: Web) -> None:
    node, job = start_node(LAPTOP), job_of("otto", parts=2)
    taken = taken_by(node)
    with web.open(user=person("otto")) as page:
        follow(page, f"job:{job.pk}")
        heard_until(page, "1 running")
        extend_leases(node.instance, {taken.key: 0.5}, 20.0)
        heard_until(page, "25 %")


def test_after_a_lost_connection_the_whole_state_comes_again(web: Web) -> None:
    node, job = start_node(LAPTOP), job_of("otto")
    with web.open(user=person("otto")) as page:
        follow(page, f"job:{job.pk}")
        heard(page)
        page.socket.close()
    settle(taken_by(node).key, Done({}))
    with web.open(user=person("otto")) as page:
        follow(page, f"job:{job.pk}")
        again = heard(page)
        assert len(again["html"]) == 6
        if "1 of 4" not in again["html"][f"job-{job.pk}-status"]:
            heard_until(page, "1 of 4")


def test_jobs_that_one_may_not_see_are_answered_like_jobs_that_are_not_there(web: Web) -> None:
    job = job_of("olga")
    with web.open(user=person("otto")) as page:
        follow(page, f"job:{job.pk}", "job:999999", f"job:0{job.pk}", "weather", "job", "jobs:x")
        answers = [heard(page) for _ in range(6)]
        assert {answer["topic"] for answer in answers} == {
            f"job:{job.pk}",
            "job:999999",
            f"job:0{job.pk}",
            "weather",
            "job",
            "jobs:x",
        }
        assert len({answer["error"] for answer in answers}) == 1
    with web.open(user=person("ada")) as page:
        follow(page, f"job:{job.pk}")
        assert "html" in heard(page)


def test_each_person_follows_their_own_list(web: Web) -> None:
    mine, hers = job_of("otto"), job_of("olga")
    with web.open(user=person("otto")) as otto, web.open(user=person("ada")) as ada:
        for page in (otto, ada):
            follow(page, "jobs")
        for_otto, for_ada = heard(otto)["html"]["jobs-running"], heard(ada)["html"]["jobs-running"]
        assert f"job-{mine.pk}-row" in for_otto and f"job-{hers.pk}-row" not in for_otto
        assert f"job-{mine.pk}-row" in for_ada and f"job-{hers.pk}-row" in for_ada
        cancel_job(mine.pk)
        assert f"job-{mine.pk}-row" not in heard(otto)["html"]["jobs-running"]


def test_nodes_and_the_cluster_are_followed_by_whoever_may_look(web: Web) -> None:
    node = start_node(LAPTOP, slots=2)
    job_of("otto")
    with web.open(user=person("vera")) as page:
        follow(page, "nodes", "cluster")
        seen = {body["topic"]: body["html"] for body in (heard(page), heard(page))}
        assert set(seen["nodes"]) == {f"node-{node.pk}-card", f"node-{node.pk}-standing", "nodes-strip"}
        assert set(seen["cluster"]) == {"cluster-figures", "cluster-throughput"}
        taken_by(node)
        heard_until(page, "1 of 2 slots busy")


def test_a_list_replaces_the_one_before(web: Web) -> None:
    node, first, second = start_node(LAPTOP), job_of("otto"), job_of("otto")
    with web.open(user=person("otto")) as page:
        follow(page, f"job:{first.pk}")
        heard(page)
        follow(page, f"job:{second.pk}")
        assert heard(page)["topic"] == f"job:{second.pk}"
        pause_job(first.pk)
        settle(taken_by(node).key, Done({}))
        assert heard_until(page, "1 of 4")["topic"] == f"job:{second.pk}"


def test_a_job_that_is_removed_is_told_to_be_gone(web: Web) -> None:
    job = job_of("otto")
    with web.open(user=person("otto")) as page:
        follow(page, f"job:{job.pk}")
        heard(page)
        cancel_job(job.pk)
        heard_until(page, "cancelled")
        remove_job(job.pk)
        while not (body := heard(page)).get("gone"):
            pass
        assert body["topic"] == f"job:{job.pk}"


@pytest.mark.parametrize(
    "origin", ["http://evil.example", "null", "http://127.0.0.1:1", "https://127.0.0.1.evil.example"]
)
def test_a_page_of_a_stranger_cannot_use_the_session(web: Web, origin: str) -> None:
    with pytest.raises(InvalidStatus) as refused, web.open(user=person("ada"), origin=origin):
        pass
    assert refused.value.response.status_code == 403


def test_a_cookie_without_a_page_is_refused_and_so_is_an_unknown_path(web: Web) -> None:
    with pytest.raises(InvalidStatus) as refused, web.open():
        pass
    assert refused.value.response.status_code == 403


def test_nobody_is_told_to_sign_in_and_a_role_that_allows_nothing_is_not_served(web: Web) -> None:
    with web.open(origin=f"http://{web.host}") as page, pytest.raises(ConnectionClosed) as closed:
        page.recv(10)
    assert closed.value.rcvd is not None and closed.value.rcvd.code == sockets.NOBODY
    metrics_only = token_of("otto", Permission.METRICS)
    with web.open(token=metrics_only) as page, pytest.raises(ConnectionClosed) as closed:
        page.recv(10)
    assert closed.value.rcvd is not None and closed.value.rcvd.code == sockets.NOT_ALLOWED


def test_a_program_follows_with_its_token_and_loses_the_stream_when_it_is_revoked(
    web: Web, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sockets, "RECHECK_SECONDS", 0.2)
    job = job_of("otto")
    with web.open(token=token_of("otto")) as page:
        follow(page, f"job:{job.pk}")
        assert "html" in heard(page)
        revoke_token(ApiToken.objects.get().pk)
        with pytest.raises(ConnectionClosed) as closed:
            heard(page)
    assert closed.value.rcvd is not None and closed.value.rcvd.code == sockets.NOBODY


def test_a_disabled_person_loses_the_stream(web: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sockets, "RECHECK_SECONDS", 0.2)
    otto = person("otto")
    with web.open(user=otto) as page:
        follow(page, "nodes")
        heard(page)
        otto.is_active = False
        otto.save()
        with pytest.raises(ConnectionClosed) as closed:
            heard(page)
    assert closed.value.rcvd is not None and closed.value.rcvd.code == sockets.NOBODY


def test_a_job_that_is_no_longer_shared_is_no_longer_told(web: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sockets, "RECHECK_SECONDS", 0.2)
    job = job_of("otto")
    Job.objects.filter(pk=job.pk).update(shared=True)
    with web.open(user=person("vera")) as page:
        follow(page, f"job:{job.pk}")
        assert "html" in heard(page)
        Job.objects.filter(pk=job.pk).update(shared=False)
        while "error" not in (body := heard(page)):
            pass
        assert body["topic"] == f"job:{job.pk}"


@pytest.mark.parametrize("said", ["[", '"follow"', "{}", '{"follow": "job:1"}', '{"follow": [1]}', "[" * 10_000])
def test_what_means_nothing_is_answered_and_at_last_refused(web: Web, said: str) -> None:
    with web.open(user=person("vera")) as page:
        for _ in range(sockets.MOST_MISTAKES):
            page.send(said)
            assert "error" in heard(page)
        with pytest.raises(ConnectionClosed) as closed:
            heard(page)
    assert closed.value.rcvd is not None and closed.value.rcvd.code == sockets.MISUSED


def test_limits_hold_for_topics_and_the_length_of_a_message(web: Web) -> None:
    with web.open(user=person("vera")) as page:
        follow(page, *(f"job:{number}" for number in range(sockets.MOST_TOPICS + 1)))
        assert "at most 50 topics" in heard(page)["error"]
        page.send(json.dumps({"follow": ["x" * 20_000]}))
        with pytest.raises(ConnectionClosed) as closed:
            heard(page)
    assert closed.value.rcvd is not None and closed.value.rcvd.code == 1009


def test_one_person_cannot_take_all_connections(web: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sockets, "MOST_CONNECTIONS", 1)
    with web.open(user=person("vera")) as page:
        follow(page, "nodes")
        heard(page)
        with web.open(user=person("vera")) as one_too_many, pytest.raises(ConnectionClosed) as closed:
            one_too_many.recv(10)
        assert closed.value.rcvd is not None and closed.value.rcvd.code == sockets.TOO_MANY
        with web.open(user=person("otto")) as another:
            follow(another, "nodes")
            assert "html" in heard(another)
    until(lambda: not sockets._open)


def test_a_quiet_connection_has_a_beat(web: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sockets, "BEAT_SECONDS", 0.1)
    with web.open(user=person("vera")) as page:
        assert heard(page) == {"beat": 0.1}


def test_a_page_that_does_not_read_does_not_hold_up_the_others_and_then_gets_the_newest(
    web: Web, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pacing, "LOOK_SECONDS", 0.02)
    monkeypatch.setattr(pacing, "IDLE_LOOK_SECONDS", 0.02)
    job = job_of("otto", parts=1)
    with web.open(user=person("otto")) as slow, web.open(user=person("otto")) as quick:
        follow(slow, f"job:{job.pk}")
        follow(quick, f"job:{job.pk}")
        heard(slow)
        heard(quick)
        for step in range(30):
            Job.objects.filter(pk=job.pk).update(waiting=f"step {step}. {'x' * 380}"[:400])
            heard_until(quick, f"step {step}.")
        heard_until(slow, "step 29.")
