"""Messages about changed jobs: short, and read without trust."""

from __future__ import annotations

from clustercore.live.domain.changes import MOST_IN_A_MESSAGE, changes_in, messages_of


def test_a_message_says_which_jobs_changed_and_which_are_over() -> None:
    assert messages_of({12: False, 7: False, 9: True}) == ["7 9! 12"]
    assert changes_in("7 9! 12") == {7: False, 9: True, 12: False}


def test_many_changes_are_several_messages_and_none_is_lost() -> None:
    many = dict.fromkeys(range(1, 2 * MOST_IN_A_MESSAGE + 2), False)
    messages = messages_of(many)
    assert len(messages) == 3
    assert {job_id for message in messages for job_id in changes_in(message)} == set(many)
    assert messages_of({}) == []


def test_what_is_no_job_is_passed_over() -> None:
    assert changes_in("0 -1 7 x! 9!! 1e3 \u0667 99999999999999999999 !") == {7: False}
    assert changes_in("") == {}
    assert len(changes_in("5 " * 10_000 + "7")) == 1
