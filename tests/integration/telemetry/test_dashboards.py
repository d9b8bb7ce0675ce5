"""The dashboard and the alerts that come along ask only for metrics that exist, and for labels that they have."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from clustercore.telemetry.services.metrics import exposition

DEPLOY = Path(__file__).parents[3] / "deploy"
_NAME = re.compile(r"\bclustercore_[a-z_]+\b")
_STRINGS = re.compile(r'"[^"]*"')
_SUFFIXES = {"counter": ("_total",), "histogram": ("_bucket", "_sum", "_count"), "gauge": ("",)}


@pytest.fixture
def exposed(transactional_db: None) -> set[str]:
    """Every name that a query may ask for, also of metrics that have nothing to tell yet."""
    found = set()
    for family in text_string_to_metric_families(exposition("").body.decode()):
        name = family.name.removesuffix("_total")
        found |= {name + suffix for suffix in _SUFFIXES[family.type]}
    return found


def dashboard() -> dict[str, Any]:
    read: dict[str, Any] = json.loads((DEPLOY / "grafana" / "clustercore.json").read_text())
    return read


def panel_queries() -> Iterator[str]:
    for panel in dashboard()["panels"]:
        yield from (target["expr"] for target in panel.get("targets", ()))


def alerts() -> list[dict[str, Any]]:
    read = yaml.safe_load((DEPLOY / "prometheus" / "alerts.yaml").read_text())
    return [rule for group in read["groups"] for rule in group["rules"]]


def names_in(query: str) -> set[str]:
    return set(_NAME.findall(_STRINGS.sub("", query)))


def test_every_query_of_the_dashboard_asks_for_what_is_told(exposed: set[str]) -> None:
    queries = list(panel_queries())
    assert len(queries) > 20
    assert {name for query in queries for name in names_in(query)} <= exposed


def test_every_alert_asks_for_what_is_told_and_says_what_to_do(exposed: set[str]) -> None:
    for alert in alerts():
        assert names_in(alert["expr"]) <= exposed, alert["alert"]
        assert set(alert["annotations"]) == {"summary", "remedy"}


def test_nothing_is_told_that_nobody_looks_at(exposed: set[str]) -> None:
    asked = {name for query in [*panel_queries(), *(alert["expr"] for alert in alerts())] for name in names_in(query)}
    looked_at = {re.sub(r"_(total|bucket|sum|count|info)$", "", name) for name in asked}
    assert {re.sub(r"_(total|bucket|sum|count|info)$", "", name) for name in exposed} == looked_at


def test_every_metric_is_described_and_every_described_one_exists(exposed: set[str]) -> None:
    text = (DEPLOY.parent / "docs" / "monitoring.md").read_text()
    described = {name for line in text.splitlines() if line.startswith("| `") for name in _NAME.findall(line)}
    assert described == {re.sub(r"_(bucket|sum|count)$", "", name) for name in exposed}


def test_the_scrape_configuration_names_the_alerts_beside_it() -> None:
    read = yaml.safe_load((DEPLOY / "prometheus" / "prometheus.yml").read_text())
    assert all((DEPLOY / "prometheus" / name).exists() for name in read["rule_files"])
    [scrape] = read["scrape_configs"]
    assert (scrape["metrics_path"], scrape["authorization"]["type"]) == ("/metrics", "Bearer")


def test_panels_do_not_lie_over_each_other() -> None:
    places: set[tuple[int, int]] = set()
    for panel in dashboard()["panels"]:
        at = panel["gridPos"]
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert not cells & places and at["x"] + at["w"] <= 24, panel["title"]
        places |= cells
