"""The files of `deploy/ray`: of one mind with the server, with Kubernetes and with Ray."""

import re
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from digitserve.server.sources import config_of
from digitserve.server.transport.ray import methods
from digitserve.server.transport.ray.autoscaling import ByLoad

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "deploy" / "ray"


def read(name: str) -> Any:
    """What a file says."""
    return yaml.safe_load((FOLDER / name).read_text(encoding="utf-8"))


SERVE, SERVICE = read("serve.yaml"), read("rayservice.yaml")
CLUSTER = SERVICE["spec"]["rayClusterConfig"]
GROUPS = [CLUSTER["headGroupSpec"], *CLUSTER["workerGroupSpecs"]]
(APPLICATION,) = SERVE["applications"]
(DEPLOYMENT,) = APPLICATION["deployments"]


def variables(group: Any) -> dict[str, str]:
    """What Ray is told on these nodes."""
    (container,) = group["template"]["spec"]["containers"]
    return {each["name"]: each["value"] for each in container["env"]}


def test_the_servers_settings_are_ones_that_it_has() -> None:
    """And the policy has the figures that it needs; the methods are where Ray looks for them."""
    config_of(APPLICATION["args"], "serve.yaml")
    policy = DEPLOYMENT["autoscaling_config"]["policy"]
    assert policy["policy_function"] == f"{ByLoad.__module__}:{ByLoad.__name__}"
    ByLoad(**policy["policy_kwargs"])
    (function,) = SERVE["grpc_options"]["grpc_servicer_functions"]
    assert function == f"{methods.__name__}:{methods.add_services.__name__}"


def test_nothing_cuts_a_stream_before_the_server_does() -> None:
    """Not the deployment's end, not HAProxy's, not the pod's; and no timeout of requests."""
    config = config_of(APPLICATION["args"], "serve.yaml")
    drained_s = config.lame_duck_s + config.grace_s
    assert DEPLOYMENT["graceful_shutdown_timeout_s"] > drained_s
    assert "request_timeout_s" not in SERVE["grpc_options"]
    (workers,) = CLUSTER["workerGroupSpecs"]
    ends_s = workers["template"]["spec"]["terminationGracePeriodSeconds"]
    assert ends_s > DEPLOYMENT["graceful_shutdown_timeout_s"]
    for group in GROUPS:
        kept_s = int(variables(group)["RAY_SERVE_HAPROXY_HARD_STOP_AFTER_S"])
        assert kept_s > config.stream_max_age_s * 1.1 + config.grace_s


def test_kubernetes_is_told_the_same_application() -> None:
    """As one text, which KubeRay hands to Ray."""
    assert yaml.safe_load(SERVICE["spec"]["serveConfigV2"]) == SERVE


@pytest.mark.parametrize("group", GROUPS)
def test_pods_hold_to_kubernetes_own_schema(group: Any) -> None:
    """Strictly: no field that it does not know."""
    pod = {
        "apiVersion": "v1",
        "kind": "PodTemplate",
        "metadata": {"name": "digitserve"},
        "template": group["template"],
    }
    kubernetes_validate.validate(pod, kubernetes_validate.latest_version(), strict=True)


def test_the_service_holds_to_it_too() -> None:
    """As KubeRay completes it."""
    service = {"apiVersion": "v1", "kind": "Service", **SERVICE["spec"]["serveService"]}
    kubernetes_validate.validate(service, kubernetes_validate.latest_version(), strict=True)
    ports = [each["port"] for each in service["spec"]["ports"]]
    assert ports == [SERVE["grpc_options"]["port"], SERVE["http_options"]["port"]]


def test_the_guide_tells_what_nodes_are_told() -> None:
    """Every variable with its value; head and workers have the same."""
    head, *others = map(variables, GROUPS)
    assert all(each == head for each in others)
    guide = (ROOT / "docs" / "ray.md").read_text(encoding="utf-8")
    assert dict(re.findall(r"export (RAY_\w+)=(\S+)", guide)) == head
