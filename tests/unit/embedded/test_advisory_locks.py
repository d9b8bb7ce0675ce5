from __future__ import annotations

import re

from clustercore.embedded.domain.advisory_locks import AdvisoryLock
from tests.architecture.source import ROOT, modules


def test_no_two_locks_have_the_same_number() -> None:
    assert len({int(lock) for lock in AdvisoryLock}) == len(AdvisoryLock.__members__) >= 4


def test_every_lock_is_of_a_transaction_and_has_its_number_from_the_register() -> None:
    taking = {module.path: module.text for module in modules(ROOT) if "pg_advisory" in module.text}
    for path, text in taking.items():
        assert not re.search(r"pg_(try_)?advisory_(un)?lock", text), path
        assert "AdvisoryLock" in text, path
    assert len(taking) >= 4
