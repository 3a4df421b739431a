"""The objects of `deploy/kubernetes`: whole, strict, and of one mind with the server."""

import re
import shutil
import subprocess
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml
from click.testing import CliRunner

from digitserve.client.cli import main as digitserve
from digitserve.server.__main__ import main as server_main
from digitserve.server.config import KNOBS, Config
from digitserve.server.services.health import LIVENESS, READINESS
from support.command import server_command
from support.keys import Authority
from support.tools import found_tool

DEPLOY = Path(__file__).parents[2] / "deploy"
KUBERNETES = DEPLOY / "kubernetes"
BASE, OVERLAYS = KUBERNETES / "base", KUBERNETES / "overlays"
TLS, ENVOY = OVERLAYS / "tls", OVERLAYS / "envoy"
KINDS = {
    "Deployment",
    "HorizontalPodAutoscaler",
    "NetworkPolicy",
    "PodDisruptionBudget",
    "Service",
}
NAME = {"app.kubernetes.io/name": "digitserve"}
# The oldest that knows all that the objects say; docs/operations.md tells so.
OLDEST = "1.27"
_ENVOY_PATHS = re.compile(r"(?:filename|path): (/etc/envoy/[\w./]*\w)")
# What follows a drain: last words, last bytes, and some air.
_AFTER_GRACE_S = 5


@cache
def sent(folder: Path) -> list[Any]:
    """What `kubectl apply -k` would send."""
    if shutil.which("kubectl"):
        command = ["kubectl", "kustomize", str(folder)]
    else:
        tool = found_tool("kustomize", "or kubectl, which has it built in; from 1.21 on")
        command = [tool, "build", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert not done.stderr, "nothing is out of date"
    return list(yaml.safe_load_all(done.stdout))


def built(folder: Path, name: str = "digitserve") -> dict[str, Any]:
    """The objects of this name, by kind; one of each."""
    objects = [each for each in sent(folder) if each["metadata"]["name"].startswith(name)]
    by_kind = {each["kind"]: each for each in objects}
    assert len(by_kind) == len(objects)
    return by_kind


def pod(folder: Path) -> Any:
    """How a pod is to be."""
    return built(folder)["Deployment"]["spec"]["template"]["spec"]


def container(folder: Path) -> Any:
    """Its only container."""
    (only,) = pod(folder)["containers"]
    return only


def variables(folder: Path) -> dict[str, str]:
    """What the server is told."""
    return {each["name"]: each["value"] for each in container(folder)["env"]}


def ports(folder: Path) -> dict[str, int]:
    """The container's ports by name."""
    return {each["name"]: each["containerPort"] for each in container(folder)["ports"]}


@pytest.mark.parametrize("version", [OLDEST, kubernetes_validate.latest_version()])
@pytest.mark.parametrize("folder", [BASE, TLS, ENVOY])
def test_every_object_holds_to_kubernetes_own_schema(folder: Path, version: str) -> None:
    """Strictly: no field that it does not know."""
    assert built(folder).keys() == KINDS
    assert all(
        each["metadata"] == {"name": "digitserve", "labels": NAME}
        for each in built(folder).values()
    )
    for each in sent(folder):
        kubernetes_validate.validate(each, version, strict=True)


def test_a_file_is_an_object() -> None:
    """Each holds one, also to Kubernetes' schema as it lies there, and the base names them all."""
    named = yaml.safe_load((BASE / "kustomization.yaml").read_text(encoding="utf-8"))["resources"]
    assert sorted([*named, "kustomization.yaml"]) == sorted(each.name for each in BASE.iterdir())
    for name in named:
        written = yaml.safe_load((BASE / name).read_text(encoding="utf-8"))
        kubernetes_validate.validate(written, kubernetes_validate.latest_version(), strict=True)


@pytest.mark.parametrize("folder", [BASE, TLS, ENVOY])
def test_all_of_them_mean_the_same_pods(folder: Path) -> None:
    """Whatever picks pods picks those of the deployment."""
    kinds = built(folder)
    specs = {kind: each["spec"] for kind, each in kinds.items()}
    assert specs["Deployment"]["template"]["metadata"]["labels"] == NAME
    assert specs["Service"]["selector"] == NAME
    selectors = [
        specs["Deployment"]["selector"],
        specs["PodDisruptionBudget"]["selector"],
        specs["NetworkPolicy"]["podSelector"],
        *(each["labelSelector"] for each in pod(folder)["topologySpreadConstraints"]),
    ]
    assert all(each == {"matchLabels": NAME} for each in selectors)
    assert specs["HorizontalPodAutoscaler"]["scaleTargetRef"] == {
        "apiVersion": kinds["Deployment"]["apiVersion"],
        "kind": "Deployment",
        "name": kinds["Deployment"]["metadata"]["name"],
    }


def test_how_many_pods_there_are_is_said_once() -> None:
    """By the autoscaler, to which CPU has to be asked for; and one may go at any time."""
    kinds = built(BASE)
    scaling = kinds["HorizontalPodAutoscaler"]["spec"]
    assert "replicas" not in kinds["Deployment"]["spec"]
    assert scaling["minReplicas"] > kinds["PodDisruptionBudget"]["spec"]["maxUnavailable"] == 1
    (metric,) = scaling["metrics"]
    assert metric["resource"]["name"] in container(BASE)["resources"]["requests"]


def test_clients_see_every_pod() -> None:
    """The service is headless, and at the port where the server listens."""
    service = built(BASE)["Service"]["spec"]
    assert service["clusterIP"] == "None"
    (port,) = service["ports"]
    assert port["port"] == ports(BASE)[port["targetPort"]]
    assert variables(BASE)["DIGITSERVE_SERVER_ADDRESSES"] == f"0.0.0.0:{port['port']}"


def test_only_who_should_connects() -> None:
    """To each port whom it is for, by its name; the server connects to nobody."""
    policy = built(BASE)["NetworkPolicy"]["spec"]
    assert policy["policyTypes"] == ["Ingress", "Egress"]
    assert not policy.get("egress")
    reachable = {port["port"] for rule in policy["ingress"] for port in rule["ports"]}
    assert reachable == set(ports(BASE))
    assert all(each["from"] for each in policy["ingress"]), "an empty list lets everybody in"
    assert variables(BASE)["DIGITSERVE_SERVER_METRICS"] == f"0.0.0.0:{ports(BASE)['metrics']}"


def test_probes_ask_what_health_answers() -> None:
    """Ready or not decides over traffic and the end of the start; alive or not over a restart."""
    port = ports(BASE)["grpc"]
    asked = {name: each["grpc"] for name, each in container(BASE).items() if "Probe" in name}
    assert asked == {
        "startupProbe": {"port": port, "service": READINESS},
        "readinessProbe": {"port": port, "service": READINESS},
        "livenessProbe": {"port": port, "service": LIVENESS},
    }


def test_every_variable_is_a_fields() -> None:
    """And the server takes them together."""
    fields = {name.removeprefix("DIGITSERVE_SERVER_").lower() for name in variables(BASE)}
    assert fields <= set(KNOBS)
    done = CliRunner().invoke(server_main, ["config"], env=variables(BASE))
    assert done.exit_code == 0, done.output


@pytest.mark.parametrize("folder", [BASE, TLS])
def test_a_drain_has_the_time_that_it_takes(folder: Path) -> None:
    """No hook that sleeps: the lame-duck time is a part of the drain."""
    assert pod(folder)["terminationGracePeriodSeconds"] >= Config().grace_s + _AFTER_GRACE_S
    assert "lifecycle" not in container(folder)


def test_a_drain_is_seen_before_calls_are_refused() -> None:
    """Also by who reads no endpoints but asks for readiness."""
    readiness = container(BASE)["readinessProbe"]
    assert readiness["periodSeconds"] * readiness["failureThreshold"] < Config().lame_duck_s


@pytest.mark.parametrize("folder", [BASE, TLS])
def test_a_pod_may_do_nothing_that_it_need_not(folder: Path) -> None:
    """No root, no privileges, nothing to write to, no credentials or names of the cluster."""
    assert pod(folder)["securityContext"]["runAsNonRoot"] is True
    assert pod(folder)["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert pod(folder)["automountServiceAccountToken"] is False
    assert pod(folder)["enableServiceLinks"] is False
    assert container(folder)["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }


def test_the_overlay_changes_what_tls_is_about_and_nothing_else() -> None:
    """Addresses, files and probes; all else is the base's."""
    plain, over = built(BASE), built(TLS)
    assert {kind for kind in KINDS if plain[kind] != over[kind]} == {"Deployment"}
    probes = {name for name in container(BASE) if "Probe" in name}
    assert {name for name, each in container(TLS).items() if container(BASE).get(name) != each} == {
        "env",
        "volumeMounts",
        *probes,
    }
    assert all("grpc" not in container(TLS)[each] for each in probes)


def test_with_tls_the_probes_still_get_an_answer(tmp_path: Path) -> None:
    """The overlay's variables and commands, on a real server; its folders are ours."""
    cert, key = Authority("ours", tmp_path).issue("digitserve", "localhost")
    moved = {
        "/etc/digitserve/tls/tls.crt": str(cert),
        "/etc/digitserve/tls/tls.key": str(key),
        "/run/digitserve": str(tmp_path),
        "0.0.0.0:50051": "127.0.0.1:0",
        "0.0.0.0:9090": "127.0.0.1:0",
    }

    def here(text: str) -> str:
        for there, ours in moved.items():
            text = text.replace(there, ours)
        return text

    told = {name: here(value) for name, value in variables(TLS).items()}
    addresses = told.pop("DIGITSERVE_SERVER_ADDRESSES").split(",")
    flags = [part for address in addresses for part in ("--address", address)]
    with server_command(*flags, log=subprocess.DEVNULL, **told) as command:
        for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
            program, *arguments = container(TLS)[probe]["exec"]["command"]
            assert Path(program).name == "digitserve"
            assert ran(list(map(here, arguments))) == (0, "SERVING")
        trusting = ["--ca", str(tmp_path / "ours.ca.pem")]
        at = ["--address", command.address.replace("127.0.0.1", "localhost")]
        assert ran(["health", *at, *trusting]) == (0, "SERVING")


# --- Envoy in front ------------------------------------------------------------------------------


def test_envoy_has_the_committed_file_and_finds_its_certificates() -> None:
    """Each path that the file names is mounted; what is in the map is what is in the tree."""
    kinds = built(ENVOY, "envoy")
    assert kinds.keys() == {"ConfigMap", "Deployment", "NetworkPolicy", "Service"}
    files = kinds["ConfigMap"]["data"]
    assert files["envoy.yaml"] == (DEPLOY / "envoy" / "envoy.yaml").read_text(encoding="utf-8")
    spec = kinds["Deployment"]["spec"]["template"]["spec"]
    volumes = {each["name"]: each for each in spec["volumes"]}
    places = set()
    for mount in spec["containers"][0]["volumeMounts"]:
        source, place = volumes[mount["name"]], mount["mountPath"]
        if "configMap" in source:
            assert source["configMap"]["name"] == kinds["ConfigMap"]["metadata"]["name"]
            assert all(item["key"] in files for item in source["configMap"]["items"])
            places |= {f"{place}/{item['path']}" for item in source["configMap"]["items"]}
        else:
            places |= {place} | {f"{place}/{name}" for name in ("tls.crt", "tls.key", "ca.crt")}
    assert spec["containers"][0]["args"][1] in places
    named = {path for each in files.values() for path in _ENVOY_PATHS.findall(each)}
    assert len(named) == 10
    assert named <= places


def test_envoy_and_the_servers_meet() -> None:
    """At the service's name and port, and nobody but Envoy may connect there."""
    front, servers = built(ENVOY, "envoy"), built(ENVOY)
    envoy = yaml.safe_load(front["ConfigMap"]["data"]["envoy.yaml"])
    (port,) = servers["Service"]["spec"]["ports"]
    for cluster in envoy["static_resources"]["clusters"][:2]:
        (endpoint,) = cluster["load_assignment"]["endpoints"][0]["lb_endpoints"]
        assert endpoint["endpoint"]["address"]["socket_address"] == {
            "address": servers["Service"]["metadata"]["name"],
            "port_value": port["port"],
        }
        (health,) = cluster["health_checks"]
        assert health["grpc_health_check"] == {"service_name": READINESS}
    (rule,) = [each for each in servers["NetworkPolicy"]["spec"]["ingress"] if _is_grpc(each)]
    labels = front["Deployment"]["spec"]["template"]["metadata"]["labels"]
    assert rule["from"] == [{"podSelector": {"matchLabels": labels}}]
    ports = front["Deployment"]["spec"]["template"]["spec"]["containers"][0]["ports"]
    listeners = envoy["static_resources"]["listeners"]
    assert {each["containerPort"] for each in ports} == {
        each["address"]["socket_address"]["port_value"] for each in listeners
    }


def _is_grpc(rule: Any) -> bool:
    return bool(rule["ports"] == [{"protocol": "TCP", "port": "grpc"}])


def ran(arguments: Sequence[str]) -> tuple[int, str]:
    """The exit code of `digitserve`, and what it said."""
    done = CliRunner().invoke(digitserve, list(arguments))
    return done.exit_code, done.output.strip()
