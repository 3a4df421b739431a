"""The image and the unit of `deploy/` agree with what the server is and does."""

import configparser
import json
import re
import shlex
import subprocess
import tomllib
from fnmatch import fnmatch
from pathlib import Path

import pytest
from click.testing import CliRunner

from digitserve.client.cli import main as digitserve
from digitserve.server.cli.usage import EXIT_USAGE
from digitserve.server.config import Config
from support.serving import Serving
from support.tools import found_tool

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
UNIT = DEPLOY / "systemd" / "digitserve-server.service"
LOCKED = ROOT / "requirements" / "image.txt"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
# What follows a drain: last words, last bytes, and some air.
_AFTER_GRACE_S = 5
# What systemd itself makes of it, 0 to 10: 1.4 by systemd 252, and a newer one may ask for more.
_MOST_EXPOSED = 2.0


@pytest.fixture(name="image")
def _image() -> list[tuple[str, str]]:
    """The Dockerfile's instructions: name and rest, continued lines joined."""
    told = (DEPLOY / "docker" / "Dockerfile").read_text(encoding="utf-8")
    lines = [line for line in told.splitlines() if line and not line.startswith("#")]
    whole = re.sub(r"\\\n\s*", "", "\n".join(lines)).splitlines()
    return [(line.split()[0], line.split(maxsplit=1)[1]) for line in whole]


@pytest.fixture(name="unit")
def _unit() -> configparser.SectionProxy:
    """The unit's section `Service`."""
    unit = configparser.RawConfigParser(strict=False)
    unit.optionxform = str  # type: ignore[assignment,method-assign]  # names are as they are
    unit.read_string(UNIT.read_text(encoding="utf-8"))
    return unit["Service"]


def last(image: list[tuple[str, str]], name: str) -> str:
    """What an instruction says in the stage that is served, where it is there once."""
    stage = max(at for at, (each, _) in enumerate(image) if each == "FROM")
    (only,) = (rest for each, rest in image[stage:] if each == name)
    return only


# --- the image ----------------------------------------------------------------------------------


def test_the_image_runs_the_server_as_nobody(image: list[tuple[str, str]]) -> None:
    """As process 1, without a shell between, so that signals reach it."""
    (program,) = json.loads(last(image, "ENTRYPOINT"))
    assert Path(program).name in PROJECT["project"]["scripts"]
    assert Path(program).parent == Path(last(image, "COPY").split()[-1], "bin")
    user, group = map(int, last(image, "USER").split(":"))
    assert user > 0
    assert group > 0


def test_the_image_is_asked_whether_it_lives(
    image: list[tuple[str, str]], serving: Serving
) -> None:
    """By a command that it has, and that a server answers."""
    _, command = last(image, "HEALTHCHECK").split(" CMD ")
    program, *arguments = json.loads(command)
    assert Path(program).name in PROJECT["project"]["scripts"]
    done = CliRunner().invoke(digitserve, [*arguments, "--address", serving.address])
    assert (done.exit_code, done.output) == (0, "SERVING\n")


def test_the_image_has_no_tensorflow(image: list[tuple[str, str]]) -> None:
    """It holds what is locked for it, the server's extras, and nothing that trains."""
    assert any(f"--require-hashes -r requirements/{LOCKED.name}" in rest for _, rest in image)
    held = set(re.findall(r"^([\w-]+)==", LOCKED.read_text(encoding="utf-8"), re.MULTILINE))
    extras = PROJECT["project"]["optional-dependencies"]
    needed = PROJECT["project"]["dependencies"] + [
        each for name in ("server", "uvloop", "metrics", "jwt", "tracing") for each in extras[name]
    ]
    assert {re.match(r"[\w-]+", each)[0] for each in needed} <= held  # type: ignore[index]
    assert not {"tensorflow", "keras", "matplotlib", "pytest", "pip"} & held


def test_the_image_is_built_from_what_the_wheel_is_made_of() -> None:
    """`.dockerignore` lets that in, and keeps all else out."""
    told = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    let_in = {line[1:] for line in told if line.startswith("!")}
    project = PROJECT["project"]
    assert let_in == {
        "pyproject.toml",
        "requirements/image.txt",
        project["readme"],
        *project["license-files"],
        *PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"],
    }
    assert told[1] == "*"
    assert fnmatch("server/digitserve/__pycache__", told[-1])


# --- the unit -----------------------------------------------------------------------------------


def test_the_unit_agrees_with_the_server(unit: configparser.SectionProxy) -> None:
    """It waits for READY=1, gives a drain its time, and does not restart what stays wrong."""
    assert unit["Type"] == "notify"
    stop_s = int(unit["TimeoutStopSec"].removesuffix("s"))
    assert stop_s >= Config().grace_s + _AFTER_GRACE_S
    assert unit["RestartPreventExitStatus"] == str(EXIT_USAGE)
    command, *arguments = shlex.split(unit["ExecStart"])
    assert Path(command).name == "digitserve-server"
    assert arguments[::2] == ["--config"]


def test_systemd_finds_nothing_wrong_with_the_unit(tmp_path: Path) -> None:
    """By its own checker; the command is not there, so another stands for it."""
    analyze = found_tool("systemd-analyze", "Debian's package `systemd`")
    told = UNIT.read_text(encoding="utf-8")
    unit = tmp_path / UNIT.name
    unit.write_text(told.replace("/opt/digitserve/bin/digitserve-server", "/bin/true"))
    done = subprocess.run([analyze, "verify", unit], capture_output=True, text=True, check=False)
    assert UNIT.name not in done.stderr, done.stderr


def test_systemd_finds_the_unit_confined() -> None:
    """By its own score."""
    analyze = found_tool("systemd-analyze", "Debian's package `systemd`")
    command = [analyze, "security", "--offline=yes", "--no-pager", str(UNIT)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    (score,) = re.findall(r"Overall exposure level for \S+: (\d+\.\d+)", done.stdout)
    assert float(score) <= _MOST_EXPOSED, done.stdout
