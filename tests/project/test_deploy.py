"""What `deploy/` says agrees with what the server does."""

import configparser
import re
import shlex
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from digitserve.server.__main__ import main
from digitserve.server.cli.usage import EXIT_USAGE
from digitserve.server.config import KNOBS, Config
from digitserve.server.services.health import LIVENESS, READINESS

yaml = pytest.importorskip("yaml")

DEPLOY = Path(__file__).parents[2] / "deploy"
MANIFEST = DEPLOY / "kubernetes" / "digitserve.yaml"
UNIT = DEPLOY / "systemd" / "digitserve-server.service"
# What follows a drain: last words, last bytes, and some air.
_AFTER_GRACE_S = 5


@pytest.fixture
def kinds() -> dict[str, Any]:
    """The manifest's objects by kind."""
    documents = yaml.safe_load_all(MANIFEST.read_text(encoding="utf-8"))
    return {each["kind"]: each for each in documents}


@pytest.fixture
def pod(kinds: dict[str, Any]) -> Any:
    """How a pod is to be."""
    return kinds["Deployment"]["spec"]["template"]["spec"]


@pytest.fixture
def container(pod: Any) -> Any:
    """Its only container."""
    (only,) = pod["containers"]
    return only


def test_the_manifest_holds_to_kubernetes_own_schema() -> None:
    """Strictly: no field that it does not know."""
    validate = pytest.importorskip("kubernetes_validate")
    for each in yaml.safe_load_all(MANIFEST.read_text(encoding="utf-8")):
        validate.validate(each, validate.latest_version(), strict=True)


def test_probes_ask_what_health_answers(container: Any) -> None:
    """Ready or not decides over traffic and the end of the start; alive or not over a restart."""
    port = container["ports"][0]["containerPort"]
    asked = {name: each["grpc"] for name, each in container.items() if name.endswith("Probe")}
    assert asked == {
        "startupProbe": {"port": port, "service": READINESS},
        "readinessProbe": {"port": port, "service": READINESS},
        "livenessProbe": {"port": port, "service": LIVENESS},
    }


def test_every_variable_is_a_fields(container: Any) -> None:
    """And the server takes them together."""
    variables = {each["name"]: each["value"] for each in container["env"]}
    fields = {name.removeprefix("DIGITSERVE_SERVER_").lower() for name in variables}
    assert fields <= set(KNOBS)
    done = CliRunner().invoke(main, ["config"], env=variables)
    assert done.exit_code == 0, done.output


def test_a_drain_has_the_time_that_it_takes(pod: Any) -> None:
    """No hook that sleeps: the lame-duck time is a part of the drain."""
    assert pod["terminationGracePeriodSeconds"] >= Config().grace_s + _AFTER_GRACE_S
    assert "lifecycle" not in pod["containers"][0]
    readiness = pod["containers"][0]["readinessProbe"]
    assert readiness["periodSeconds"] * readiness["failureThreshold"] < Config().lame_duck_s


def test_the_container_may_do_nothing_that_it_need_not(pod: Any, container: Any) -> None:
    """No root, no privileges, nothing to write to, no credentials of the cluster."""
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert pod["automountServiceAccountToken"] is False
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }


def test_clients_see_every_pod(kinds: dict[str, Any], container: Any) -> None:
    """The service is headless, and finds the pods."""
    service, deployment = kinds["Service"]["spec"], kinds["Deployment"]["spec"]
    assert service["clusterIP"] == "None"
    assert service["selector"] == deployment["selector"]["matchLabels"]
    assert service["selector"] == deployment["template"]["metadata"]["labels"]
    assert service["ports"][0]["port"] == container["ports"][0]["containerPort"]


def test_the_image_runs_the_server_as_nobody() -> None:
    """As process 1, without a shell between, so that signals reach it."""
    told = (DEPLOY / "docker" / "Dockerfile").read_text(encoding="utf-8")
    assert 'ENTRYPOINT ["/opt/digitserve/bin/digitserve-server"]' in told
    assert re.search(r"^USER (\d+):\d+$", told, re.MULTILINE)


def test_the_unit_agrees_with_the_server() -> None:
    """It waits for READY=1, gives a drain its time, and does not restart what stays wrong."""
    unit = configparser.RawConfigParser(strict=False)
    unit.optionxform = str  # type: ignore[assignment,method-assign]  # names are as they are
    unit.read_string(UNIT.read_text(encoding="utf-8"))
    service = unit["Service"]
    assert service["Type"] == "notify"
    stop_s = int(service["TimeoutStopSec"].removesuffix("s"))
    assert stop_s >= Config().grace_s + _AFTER_GRACE_S
    assert service["RestartPreventExitStatus"] == str(EXIT_USAGE)
    command, *arguments = shlex.split(service["ExecStart"])
    assert Path(command).name == "digitserve-server"
    assert arguments[::2] == ["--config"]


def test_systemd_finds_nothing_wrong_with_the_unit(tmp_path: Path) -> None:
    """Where its own checker is installed; the command is not there, so another stands for it."""
    if (analyze := shutil.which("systemd-analyze")) is None:
        pytest.skip("systemd-analyze is not installed")
    told = UNIT.read_text(encoding="utf-8")
    unit = tmp_path / UNIT.name
    unit.write_text(told.replace("/opt/digitserve/bin/digitserve-server", "/bin/true"))
    done = subprocess.run([analyze, "verify", unit], capture_output=True, text=True, check=False)
    assert UNIT.name not in done.stderr, done.stderr
