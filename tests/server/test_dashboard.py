"""The dashboard and the alerts: they speak of nothing that a server does not tell."""

import json
import re
import subprocess
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import promql_parser
import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from digitserve.v1 import digits_pb2
from generate_dashboard import DASHBOARD, written
from support.engines import InkEngine, image_of
from support.scrape import observed_server
from support.serving import versions_of
from support.tools import found_tool

ROOT = Path(__file__).parents[2]
OBSERVE = ROOT / "deploy/observe"
ALERTS = yaml.safe_load((OBSERVE / "alerts.yaml").read_text(encoding="utf-8"))
# What Prometheus itself knows of whom it scrapes.
OWN = {"up": {"job", "instance"}}
RUNBOOK = "docs/operations.md"
_SECTION = re.compile(r"^### (Digitserve\w+)\n\n(Page|Ticket)\. ", re.M)
_ROW = re.compile(r"^\| `(?P<name>[a-z_]+)(?:\{(?P<labels>[a-z, ]+)\})?` \| (?P<kind>\w+) \|", re.M)


def panels() -> Iterator[str]:
    """The dashboard's expressions, its variables filled in."""
    for panel in json.loads(DASHBOARD.read_text(encoding="utf-8"))["panels"]:
        for target in panel.get("targets", ()):
            yield target["expr"].replace("$__rate_interval", "1m").replace("$instance", ".*")


def alerts() -> Iterator[str]:
    """The alerts' expressions."""
    for group in ALERTS["groups"]:
        yield from (rule["expr"] for rule in group["rules"])


def selectors(expression: str) -> Iterator[tuple[str, set[str]]]:
    """The metrics that an expression names, each with the labels that pick from it."""
    found: list[Any] = []

    def look(node: object) -> bool:
        found.append(node)
        return True

    promql_parser.walk(promql_parser.parse(expression), look)
    for node in found:
        if isinstance(node, promql_parser.MatrixSelector):
            node = node.vector_selector  # noqa: PLW2901
        if isinstance(node, promql_parser.VectorSelector):
            yield str(node.name), {matcher.name for matcher in node.matchers.matchers}


@pytest.fixture(scope="module", name="told")
def _told() -> dict[str, set[str]]:
    """The metrics that a server tells after some load, each with its labels."""
    with observed_server(versions=versions_of(InkEngine())) as (up, address):
        with up.digits() as stub:
            stub.Predict(digits_pb2.PredictRequest(pixels=image_of(3)))
        with urllib.request.urlopen(f"http://{address}/metrics") as response:
            text = response.read().decode()
    told: dict[str, set[str]] = {}
    for family in text_string_to_metric_families(text):
        ends = {"counter": ["_total"], "histogram": ["_bucket", "_sum", "_count"]}
        for end in ends.get(family.type, [""]):
            labels = {label for sample in family.samples for label in sample.labels}
            told[family.name + end] = labels | {"instance", "job", "worker"}
    return told


@pytest.mark.parametrize("expression", [*panels(), *alerts()])
def test_every_expression_speaks_of_what_is_told(
    expression: str, told: dict[str, set[str]]
) -> None:
    """It parses, and its metrics and the labels that it picks by are those of a real scrape."""
    named = list(selectors(expression))
    assert named
    for name, labels in named:
        assert labels <= (told | OWN)[name]


def test_the_dashboard_is_what_its_script_writes() -> None:
    """`make dashboard` leaves no difference."""
    assert DASHBOARD.read_text(encoding="utf-8") == written()


def test_every_metric_is_documented_as_it_is(told: dict[str, set[str]]) -> None:
    """Name, labels and kind, in `docs/observe.md`: all of them, and no others."""
    text = (ROOT / "docs/observe.md").read_text(encoding="utf-8")
    documented: dict[str, set[str]] = {}
    for row in _ROW.finditer(text):
        ends = ["_bucket", "_sum", "_count"] if row["kind"] == "histogram" else [""]
        documented |= {row["name"] + end: set((row["labels"] or "").split(", ")) for end in ends}
    assert documented.keys() == told.keys()
    for name, labels in documented.items():
        assert labels - {""} <= told[name] or name.startswith("digitserve_shadow")


def test_every_alert_has_a_section_in_the_runbook() -> None:
    """It leads there; no section is about anything else; and who is woken is told so."""
    text = (ROOT / RUNBOOK).read_text(encoding="utf-8")
    sections = dict(_SECTION.findall(text))
    rules = {rule["alert"]: rule for group in ALERTS["groups"] for rule in group["rules"]}
    assert list(sections) == list(rules)
    for name, rule in rules.items():
        assert rule["annotations"]["runbook"] == f"{RUNBOOK}#{name.lower()}"
        assert sections[name].lower() == rule["labels"]["severity"]


def test_alerts_come_when_they_are_due_and_only_then() -> None:
    """On figures made up for each, by Prometheus's own tool."""
    promtool = found_tool("promtool", "Debian's package `prometheus`")
    run_in(OBSERVE, promtool, "check", "config", "prometheus.yml")
    run_in(OBSERVE, promtool, "test", "rules", "alerts.test.yaml")


def test_prometheus_finds_the_pods(tmp_path: Path) -> None:
    """By the label and the port of the manifests; Debian's Prometheus itself knows no pods."""
    promtool = found_tool("promtool", "Debian's package `prometheus`")
    told = (OBSERVE / "prometheus.kubernetes.yml").read_text(encoding="utf-8")
    (job,) = yaml.safe_load(told)["scrape_configs"]
    assert job.pop("kubernetes_sd_configs") == [{"role": "pod"}]
    pods = yaml.safe_load((ROOT / "deploy/kubernetes/base/deployment.yaml").read_text("utf-8"))
    template = pods["spec"]["template"]
    (metrics,) = template["spec"]["containers"][0]["ports"][1:]
    kept, *_ = job["relabel_configs"]
    assert kept["regex"] == ";".join(
        [template["metadata"]["labels"]["app.kubernetes.io/name"], metrics["name"]]
    )
    config = {"scrape_configs": [job | {"static_configs": [{"targets": ["pod:9090"]}]}]}
    (tmp_path / "prometheus.yml").write_text(yaml.safe_dump(config), encoding="utf-8")
    run_in(tmp_path, promtool, "check", "config", "prometheus.yml")


def run_in(folder: Path, *command: str) -> None:
    """Runs a command that has to end well."""
    done = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
