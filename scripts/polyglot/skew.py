"""Older and newer: other releases of grpcio and protobuf, other releases of digitserve."""

import json
import re
import subprocess
import sys
import tomllib
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path

from polyglot import EXAMPLES, OUT, ROOT
from polyglot.languages import TREE, languages, read_cases
from polyglot.servers import HERE, Installation, real_server
from polyglot.trial import Trial, second_chance, trial
from proving import Shortfall

_WIRE = re.compile(r"grpcio|protobuf|googleapis")


def promises() -> list[tuple[str, Callable[[], str]]]:
    """Each pairing that must work."""
    return [
        ("the lowest grpcio and protobuf", lambda: _both(_lowest())),
        ("the highest grpcio and protobuf", lambda: _both(_highest())),
        ("old stubs, new server", lambda: _pairing(_released(), HERE)),
        ("new stubs, old server", lambda: _pairing(_highest(), _released())),
    ]


def _both(by: Installation) -> str:
    return f"{_versions(by)}: {_pairing(by, by)}"


def _pairing(client: Installation, server: Installation) -> str:
    """Python's driver in one environment, the servers in another."""
    old = _record()["version"] if _released() in (client, server) else None
    (python, *_) = languages(["python"])
    driver = replace(python, spec=python.spec | {"run": [str(client.python), "driver.py"]})

    def attempt() -> Trial:
        with real_server(server) as real:
            return trial(driver, real, server, version=old)

    tried = attempt()
    if tried.faults:
        tried = second_chance(tried, attempt())
    left_out = len(read_cases()[0]) - tried.asked
    rest = f"; {left_out} that it cannot know or has no servers for" if left_out else ""
    return tried.passed() + rest


# --- environments --------------------------------------------------------------------------------


@cache
def _lowest() -> Installation:
    """The floors of pyproject.toml."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    wanted = project["dependencies"] + project["optional-dependencies"]["server"]
    floors = [each.split(",")[0].replace(">=", "==") for each in wanted if _WIRE.match(each)]
    return _installed("lowest", TREE, *floors)


@cache
def _highest() -> Installation:
    """What pip takes today."""
    return _installed("highest", TREE)


@cache
def _released() -> Installation:
    """The recorded commit, with the tests that it had."""
    tree = OUT / "released"
    tree.mkdir(parents=True, exist_ok=True)
    commit = _record()["commit"]
    packed = subprocess.run(["git", "archive", commit], cwd=ROOT, capture_output=True, check=False)
    if packed.returncode:
        raise Shortfall(f"the commit {commit} is not in this clone")
    subprocess.run(["tar", "-x"], cwd=tree, input=packed.stdout, check=True)
    return replace(_installed("released", tree), tests=tree / "tests")


def _installed(name: str, project: Path, *pins: str) -> Installation:
    """A new environment with the server in it, as a user installs it."""
    folder = OUT / "environments" / name
    subprocess.run([sys.executable, "-m", "venv", "--clear", folder], check=True)
    done = subprocess.run(
        [f"{folder}/bin/pip", "-q", "install", f"{project}[server]", *pins],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise Shortfall(f"pip could not install {name}:\n{done.stderr}")
    return Installation(folder / "bin/python", path=())


def _record() -> dict[str, str]:
    record: dict[str, str] = json.loads((EXAMPLES / "conformance/released.json").read_text("utf-8"))
    return record


def _versions(by: Installation) -> str:
    code = (
        "import google.protobuf, grpc; print(f'grpcio {grpc.__version__}, "
        "protobuf {google.protobuf.__version__}')"
    )
    done = subprocess.run([by.python, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout.strip()
