"""The dashboard and the alerts ask for metrics that there are, by labels that they have; and no metric goes unseen."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml

from core.metrics.table import METRICS

DEPLOY = Path(__file__).parents[3] / "deploy"
NOT_SHOWN: dict[str, str] = {}
"""Metrics that the dashboard leaves out, each with the reason."""

WORDS = {"by", "without", "on", "ignoring", "group_left", "group_right", "and", "or", "unless", "offset", "bool"}
NAME, LABEL = r"[a-zA-Z_:][a-zA-Z0-9_:]*", r"[a-zA-Z_][a-zA-Z0-9_]*"
OF_PROMETHEUS = {"job", "instance", "le"}
"""Labels that Prometheus adds, and that of histograms."""

METRIC_OF_SAMPLE = {sample: metric for metric in METRICS for sample in metric.samples}


class Asked(NamedTuple):
    """What an expression in PromQL asks for."""

    names: set[str]
    labels: set[str]


def asked_in(expression: str) -> Asked:
    """Take an expression apart, as far as names go: what stands in braces, in lists of labels, and the rest."""
    selectors = re.findall(r"\{([^}]*)\}", expression)
    labels = {label for text in selectors for label in re.findall(rf"({LABEL})\s*[=!]~?\s*\"", text)}
    plain = re.sub(r"\{[^}]*\}|\[[^\]]*\]", " ", expression)
    lists = re.findall(r"\b(?:by|without|on|ignoring)\s*\(([^)]*)\)", plain)
    labels |= {label.strip() for text in lists for label in text.split(",")}
    plain = re.sub(r"\b(by|without|on|ignoring)\s*\([^)]*\)", " ", plain)
    names = set(re.findall(rf"(?<![\w$.])({NAME})\b(?!\s*\()", plain))
    return Asked(names - WORDS, labels)


def panels() -> Iterator[dict[str, Any]]:
    dashboard = json.loads((DEPLOY / "grafana/secateur.json").read_text())
    yield from (panel for panel in dashboard["panels"] if panel["type"] != "row")


def expressions() -> list[tuple[str, str]]:
    """Return every expression of the dashboard and the alerts, with where it stands."""
    shown = [(panel["title"], target["expr"]) for panel in panels() for target in panel["targets"]]
    groups = yaml.safe_load((DEPLOY / "prometheus/alerts.yml").read_text())["groups"]
    return shown + [(rule["alert"], rule["expr"]) for group in groups for rule in group["rules"]]


def test_an_expression_is_taken_apart() -> None:
    """What the other tests rest on."""
    found = asked_in(
        'histogram_quantile(0.95, sum by (le, route) (rate(a_b_bucket{x!~"y|z",w="v"}[$__rate_interval]))) > 1e3 '
        "unless on (device) max without (u) (c) / 2 offset 5m"
    )

    assert found == Asked({"a_b_bucket", "c"}, {"le", "route", "x", "w", "device", "u"})


@pytest.mark.parametrize(("place", "expression"), expressions())
def test_what_is_asked_for_is_there(place: str, expression: str) -> None:
    asked = asked_in(expression)
    names = asked.names - {"up"}
    known = {label for name in names & METRIC_OF_SAMPLE.keys() for label in METRIC_OF_SAMPLE[name].labels}

    assert asked.names, place
    assert names - METRIC_OF_SAMPLE.keys() == set(), place
    assert asked.labels - known - OF_PROMETHEUS == set(), place


@pytest.mark.parametrize(("place", "expression"), expressions())
def test_values_of_labels_that_are_asked_for_can_be(place: str, expression: str) -> None:
    """A filter for an ending that is never counted would show nothing for ever."""
    for metric, selector in re.findall(rf"({NAME})\{{([^}}]*)\}}", expression):
        line = METRIC_OF_SAMPLE.get(metric)
        for label, values in re.findall(rf"({LABEL})\s*=~?\s*\"([^\"]*)\"", selector):
            if line is not None and line.known:
                possible = {known[line.labels.index(label)] for known in line.known}
                assert set(values.split("|")) <= possible, (place, label)


def test_every_metric_is_on_the_dashboard_or_left_out_for_a_reason() -> None:
    shown = {name for panel in panels() for target in panel["targets"] for name in asked_in(target["expr"]).names}
    seen = {METRIC_OF_SAMPLE[name].name for name in shown}

    assert seen | NOT_SHOWN.keys() == {metric.name for metric in METRICS}
    assert seen & NOT_SHOWN.keys() == set()
    assert all(NOT_SHOWN.values())


def test_every_panel_says_what_it_shows_and_has_a_place_of_its_own() -> None:
    taken = set()
    for panel in panels():
        place = panel["gridPos"]
        cells = {(place["x"] + x, place["y"] + y) for x in range(place["w"]) for y in range(place["h"])}
        assert not cells & taken, panel["title"]
        taken |= cells
        assert panel["description"].endswith(".") or ":" in panel["description"], panel["title"]
        assert place["x"] + place["w"] <= 24


def test_every_alert_says_what_it_means_and_what_to_do() -> None:
    groups = yaml.safe_load((DEPLOY / "prometheus/alerts.yml").read_text())["groups"]

    for rule in (rule for group in groups for rule in group["rules"]):
        assert rule["annotations"].keys() == {"summary", "action"}, rule["alert"]
        assert rule["labels"]["severity"] in {"page", "ticket"}, rule["alert"]


def test_prometheus_asks_every_process_of_the_containers_at_its_admin_port() -> None:
    scraped = yaml.safe_load((DEPLOY / "prometheus/prometheus.yml").read_text())["scrape_configs"]
    services = yaml.safe_load((DEPLOY.parent / "docker-compose.yml").read_text())["services"]
    places = [place for job in scraped for place in job["dns_sd_configs"]]

    asked = {name: place["port"] for place in places for name in place["names"]}
    shown = {
        name: int(service["environment"]["SECATEUR_ADMIN_PORT"])
        for name, service in services.items()
        if "SECATEUR_ADMIN_PORT" in service.get("environment", {}) and name != "migrations"
    }
    assert asked == shown
    assert len(asked) >= 4
    for name, port in shown.items():
        assert services[name]["environment"]["SECATEUR_ADMIN_HOST"] == "0.0.0.0"
        assert not any(str(port) in str(published) for published in services[name].get("ports", []))
