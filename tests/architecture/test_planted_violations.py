"""The walls are real: in a copy of the source, each contract and each rule is broken once, and says so."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from django.apps.registry import Apps
from django.db import models

from clustercore.config.environment import Environment
from tests.architecture import rules
from tests.architecture.contents import strangers
from tests.architecture.contracts import check_contracts, contract_names, copy_tree
from tests.architecture.described import described_names, variable_names
from tests.architecture.registered import foreign_keys_pointing_up, ranks, tasks_under_other_names
from tests.architecture.rules import RULES, Rule, violations
from tests.architecture.source import ROOT, modules

BROKEN_CONTRACTS = [
    ("packages", "transcription/planted.py", "import agents"),
    ("packages", "clustercore/nodes/planted.py", "import clustercore.jobs.models"),
    ("packages", "clustercore/blobs/planted.py", "import clustercore.celery"),
    ("packages", "clustercore/jobs/planted.py", "import clustercore.project.settings"),
    ("rooms", "clustercore/planted.py", ""),
    ("shape", "clustercore/jobs/planted.py", ""),
    ("shape", "transcription/planted.py", ""),
    ("shape", "clustercore/jobs/domain/planted.py", "import clustercore.jobs.models"),
    ("shape", "clustercore/jobs/services/planted.py", "import clustercore.jobs.workflows"),
    ("shape-of-project", "clustercore/project/planted.py", ""),
    ("shape-of-embedded", "clustercore/embedded/planted.py", ""),
    ("shape-of-config", "clustercore/config/planted.py", ""),
    ("pure", "transcription/domain/planted.py", "import django"),
    ("pure", "clustercore/jobs/domain/planted.py", "from time import monotonic"),
    ("pure", "clustercore/nodes/domain/planted.py", "from random import choice"),
    ("pure", "transcription/domain/planted.py", "import clustercore.jobs.services"),
    ("no-broker", "clustercore/jobs/services/planted.py", "import celery"),
    ("no-broker", "transcription/adapters/planted.py", "from kombu import Queue"),
    ("no-broker", "clustercore/nodes/adapters/planted.py", "import celery"),
    ("shape", "clustercore/jobs/services/planted.py", "import clustercore.jobs.commands"),
    ("shape", "clustercore/terminal/planted.py", ""),
    ("rooms", "clustercore/terminal/domain/planted.py", "import clustercore.access"),
    ("only-workflows-send", "transcription/views.py", "from transcription import tasks"),
    ("only-workflows-send", "transcription/services/planted.py", "from transcription.tasks import cut"),
    ("acyclic", "clustercore/jobs/domain/planted/one.py", "import clustercore.jobs.domain.planted.two"),
]

BROKEN_RULES: list[tuple[Rule, str, str]] = [
    (rules.modules_are_short, "dellm/services.py", "\n" * 400),
    (rules.functions_are_short, "dellm/services.py", "def long():\n" + "    call()\n" * 50),
    (rules.classes_are_short, "dellm/services.py", "class Long:\n" + "    a = 1\n" * 150),
    (rules.tasks_are_doors, "dellm/tasks.py", "def door():\n" + "    call()\n" * 4),
    (rules.imports_stand_at_the_top, "dellm/services.py", "def hide():\n    import agents\n"),
    (rules.imports_stand_at_the_top, "transcription/adapters/engines/planted.py", "def cut():\n    import av\n"),
    (rules.imports_stand_at_the_top, "clustercore/project/command_line/main.py", "def start():\n    import django\n"),
    (rules.one_module_loads_by_name, "dellm/services.py", "from importlib import import_module\n"),
    (rules.one_module_loads_by_name, "dellm/adapters/one.py", "import importlib\nimportlib.import_module('av')\n"),
    (rules.only_one_module_reads_the_environment, "dellm/services.py", "import os\nos.environ['HOME']\n"),
    (rules.only_one_module_reads_the_environment, "dellm/services.py", "from os import getenv\n"),
    (rules.only_one_module_reads_the_environment, "clustercore/project/asgi.py", "import os\nos.environ.get('X')\n"),
    (rules.only_workflows_send, "dellm/services.py", "task.delay(1)\n"),
    (rules.only_workflows_send, "dellm/tasks.py", "app.send_task('dellm.vote')\n"),
    (rules.only_workflows_send, "dellm/views.py", "task.apply_async()\n"),
    (rules.queue_names_come_from_one_place, "dellm/workflows.py", "QUEUE = 'cap.llm'\n"),
    (rules.nothing_runs_eagerly, "clustercore/project/eager.py", "CELERY_TASK_ALWAYS_EAGER = True\n"),
    (rules.names_say_something, "dellm/utils.py", ""),
    (rules.names_say_something, "dellm/adapters/job_manager.py", ""),
    (rules.no_signals_of_our_own, "dellm/apps.py", "from django.db.models.signals import post_save\n"),
    (rules.domain_asks_no_clock_and_no_dice, "dellm/domain/vote.py", "datetime.now()\n"),
    (rules.domain_asks_no_clock_and_no_dice, "dellm/domain/vote.py", "uuid.uuid4()\n"),
    (rules.nobody_waits_inside_a_task, "dellm/services.py", "AsyncResult('x').get()\n"),
    (rules.the_program_names_no_kind_of_work, "clustercore/project/command_line/doctor.py", "NEEDED = ('stt',)\n"),
    (rules.the_program_names_no_kind_of_work, "clustercore/project/command_line/doctor.py", "# Transcribes.\n"),
    (rules.a_list_of_commands_imports_none, "dellm/commands/__init__.py", "from dellm.commands.asking import ask\n"),
    (rules.a_list_of_commands_imports_none, "dellm/commands/__init__.py", "import typer\n"),
    (rules.public_names_are_explained, "dellm/services.py", "def decide():\n    pass\n"),
    (rules.services_know_no_http, "dellm/services.py", "from django.http import HttpRequest\n"),
    (rules.services_know_no_http, "dellm/selectors/votes.py", "from http import HTTPStatus\n"),
    (rules.services_know_no_http, "dellm/services.py", "from clustercore.access.http.refusals import RequestRefused\n"),
    (rules.services_know_no_http, "dellm/domain/vote.py", "raise Veto(409, 'it was cast already')\n"),
    (
        rules.the_lease_thread_only_beats_and_extends,
        "clustercore/nodes/adapters/lease_thread.py",
        "from clustercore.nodes.adapters.hook_calls import HookCalls\n",
    ),
    (
        rules.the_lease_thread_only_beats_and_extends,
        "clustercore/jobs/services/held_leases.py",
        "def extend(agent):\n    agent.spools.hubs()\n",
    ),
]

KEPT_RULES: list[tuple[Rule, str, str]] = [
    (rules.tasks_are_doors, "dellm/tasks.py", 'def door():\n    """Why."""\n' + "    call()\n" * 3),
    (rules.imports_stand_at_the_top, "dellm/apps.py", "def ready(self):\n    import dellm.checks\n"),
    (rules.imports_stand_at_the_top, "transcription/adapters/engines/planted.py", "def load():\n    import vosk\n"),
    (rules.imports_stand_at_the_top, "agents/adapters/engines/planted.py", "def load():\n    import torch\n"),
    (
        rules.one_module_loads_by_name,
        "dellm/adapters/one.py",
        "import importlib.util\nimportlib.util.find_spec('av')\n",
    ),
    (rules.only_workflows_send, "dellm/workflows.py", "task.apply_async()\n"),
    (
        rules.only_one_module_reads_the_environment,
        "clustercore/project/celery.py",
        "import os\nos.environ.setdefault('DJANGO_SETTINGS_MODULE', 'x')\n",
    ),
    (rules.queue_names_come_from_one_place, "dellm/workflows.py", '"""On cap.llm."""\n'),
]


@pytest.fixture(scope="module")
def copied(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return copy_tree(ROOT, tmp_path_factory.mktemp("source"))


@pytest.fixture
def tree(copied: Path) -> Iterator[Path]:
    """A copy of the source to plant in; what was planted is weeded afterwards."""
    before = {file: file.read_bytes() for file in copied.rglob("*.py")}
    yield copied
    for file in set(copied.rglob("*.py")) - before.keys():
        file.unlink()
    for file, content in before.items():
        file.write_bytes(content)


def plant(root: Path, path: str, text: str) -> None:
    """Writes one file, making it part of a package."""
    file = root / path
    file.parent.mkdir(parents=True, exist_ok=True)
    for folder in file.parents:
        if folder == root:
            break
        (folder / "__init__.py").touch()
    file.write_text(text + "\n", encoding="utf-8")


def test_the_contracts_hold_as_long_as_nothing_is_planted(tree: Path) -> None:
    kept, said = check_contracts(tree)
    assert kept, said


def test_every_contract_has_a_planted_violation() -> None:
    assert {identifier for identifier, _, _ in BROKEN_CONTRACTS} == contract_names(ROOT).keys()


def test_every_rule_has_a_planted_violation() -> None:
    assert {rule for rule, _, _ in BROKEN_RULES} == set(RULES)


@pytest.mark.parametrize(("identifier", "path", "text"), BROKEN_CONTRACTS)
def test_a_planted_import_breaks_its_contract(tree: Path, identifier: str, path: str, text: str) -> None:
    plant(tree, path, text)
    if identifier == "acyclic":
        plant(tree, path.replace("one.py", "two.py"), text.replace("two", "one"))
    kept, said = check_contracts(tree, identifier)
    assert not kept
    planted = path.removesuffix(".py").removesuffix("/one").replace("/", ".")
    assert planted in said.replace("\n", ""), said


@pytest.mark.parametrize(("rule", "path", "text"), BROKEN_RULES)
def test_a_planted_line_breaks_its_rule(tree: Path, rule: Rule, path: str, text: str) -> None:
    plant(tree, path, text)
    assert [violation for violation in violations(rule, modules(tree)) if violation.startswith(f"{path}:")]


@pytest.mark.parametrize(("rule", "path", "text"), KEPT_RULES)
def test_what_a_rule_allows_does_not_break_it(tree: Path, rule: Rule, path: str, text: str) -> None:
    plant(tree, path, text)
    assert not [violation for violation in violations(rule, modules(tree)) if violation.startswith(f"{path}:")]


def model_in(room: str, name: str, registry: Apps, **fields: models.Field[Any, Any]) -> type[models.Model]:
    """A model that says it lives in `room`, in a registry of its own."""
    meta = type("Meta", (), {"apps": registry, "app_label": room.rpartition(".")[2]})
    return type(name, (models.Model,), {"__module__": f"{room}.models", "Meta": meta, **fields})


def test_a_planted_foreign_key_upwards_or_sideways_is_found() -> None:
    registry = Apps()
    transcript = model_in("transcription", "PlantedTranscript", registry)
    upwards = model_in(
        "clustercore.jobs", "PlantedJob", registry, text=models.ForeignKey(transcript, on_delete=models.CASCADE)
    )
    sideways = model_in(
        "agents", "PlantedAgent", registry, text=models.ForeignKey(transcript, on_delete=models.CASCADE)
    )
    downwards = model_in(
        "orchestration", "PlantedPlan", registry, text=models.ForeignKey(transcript, on_delete=models.CASCADE)
    )
    found = list(foreign_keys_pointing_up([transcript, upwards, sideways, downwards], ranks(ROOT)))
    assert [line.partition(" ")[0] for line in found] == [
        "clustercore.jobs.models.PlantedJob.text",
        "agents.models.PlantedAgent.text",
    ]


def test_a_planted_task_with_another_packages_name_is_found() -> None:
    task = type("planted", (), {"__module__": "transcription.tasks"})()
    assert list(tasks_under_other_names({"transcription.cut": task})) == []
    assert list(tasks_under_other_names({"jobs.cut": task, "celery.chord": ModuleType("celery")})) == [
        "transcription.tasks registers 'jobs.cut'; call it transcription.cut"
    ]


class PlantedEnvironment(Environment):
    """The product's settings and one that nobody described."""

    planted_seconds: float = 1.0


def test_a_planted_setting_without_a_description_is_found() -> None:
    text = (ROOT / "docs" / "settings.md").read_text(encoding="utf-8")
    assert variable_names(PlantedEnvironment) - described_names(text) == {"CLUSTERCORE_PLANTED_SECONDS"}


def test_a_planted_description_without_a_setting_is_found() -> None:
    text = "| `CLUSTERCORE_DATA_DIR` | x | x |\n| `CLUSTERCORE_PLANTED` | x | x |\n"
    assert described_names(text) - variable_names(Environment) == {"CLUSTERCORE_PLANTED"}


def test_planted_tests_in_the_wheel_are_found() -> None:
    kept = ["clustercore/celery.py", "templates/a.html", "clustercore-0.1.0.dist-info/METADATA"]
    assert strangers(kept) == set()
    assert strangers([*kept, "tests/cast.py", "deploy/clustercore.env"]) == {"tests", "deploy"}
