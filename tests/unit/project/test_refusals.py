"""How refusals look to the clients of the APIs."""

from __future__ import annotations

import pytest
from django.test import RequestFactory

from clustercore.access.http.refusals import RequestRefused
from clustercore.project.middleware.errors import refusal


@pytest.mark.parametrize(("code", "told"), [("no_able_node", "false"), ("backlog_full", None)])
def test_clients_are_told_not_to_repeat_what_somebody_has_to_mend_first(code: str, told: str | None) -> None:
    refused = RequestRefused(503, "no", code=code, retry_after=30)
    answer = refusal(RequestFactory().post("/v1/audio/translations"), refused)
    assert answer.get("x-should-retry") == told
    assert answer["Retry-After"] == "30"
