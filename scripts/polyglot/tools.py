"""The tools that no language brings: buf, and a protoc for those that have none."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from polyglot import CI, ROOT
from proving import Shortfall, Skipped

BUF = "@bufbuild/buf@1.75.0"
_TOOLS = ROOT / ".tools"
_BUF = _TOOLS / "node_modules/.bin/buf"
_PROTOC = _TOOLS / "bin/protoc"
_GENERATOR = ROOT / ".venv-protos/bin/python"


def search_path() -> str:
    """Our buf and our Python first; our protoc after any other."""
    ours = [str(_BUF.parent), str(Path(sys.executable).parent)]
    return os.pathsep.join([*ours, os.environ["PATH"], str(_PROTOC.parent)])


def set_up() -> None:
    """Installs buf, if npm is there, and the protoc of grpcio-tools, if its environment is."""
    if shutil.which("npm") and not _installed():
        subprocess.run(
            ["npm", "install", "--silent", "--no-save", "--prefix", str(_TOOLS), BUF],
            check=True,
            stderr=subprocess.DEVNULL,
        )
        (_TOOLS / "buf").write_text(BUF, encoding="utf-8")
    if _GENERATOR.exists():
        _PROTOC.parent.mkdir(parents=True, exist_ok=True)
        _PROTOC.write_text(
            f'#!/bin/sh\nexec "{_GENERATOR}" -W ignore -m grpc_tools.protoc "$@"\n', "utf-8"
        )
        _PROTOC.chmod(0o755)


def buf(*arguments: str) -> None:
    """Runs buf on the repository.

    Raises:
        Skipped: if it is not there, and this is not CI.
        Shortfall: with what it found.
    """
    if not _installed():
        raise (Shortfall if CI else Skipped)("needs buf, which npm installs")
    done = subprocess.run(
        [_BUF, *arguments],
        cwd=ROOT,
        env=os.environ | {"PATH": search_path()},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise Shortfall((done.stdout + done.stderr).strip())


def generate_messages() -> dict[str, int]:
    """What `buf.gen.yaml` says, into `out/stubs/`; gives the number of files by language.

    Raises:
        Skipped: without a protoc of the system (that of grpcio-tools knows too few languages), or
            without buf, and this is not CI.
        Shortfall: the same in CI, or with what is wrong.
    """
    if not shutil.which("protoc"):
        raise (Shortfall if CI else Skipped)("needs protoc, Debian's protobuf-compiler")
    out = ROOT / "out" / "stubs"
    shutil.rmtree(out, ignore_errors=True)
    buf("generate")
    folders = sorted(out.iterdir())
    return {each.name: sum(file.is_file() for file in each.rglob("*")) for each in folders}


def install_packages(packages: set[str]) -> None:
    """Installs Debian packages that are not there, as CI may; nobody else's machine is touched."""
    missing = [each for each in sorted(packages) if not _unpacked(each)]
    if CI and missing and shutil.which("apt-get"):
        environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
        for words in (["update"], ["install", "-y", "--no-install-recommends", *missing]):
            subprocess.run(["apt-get", "-qq", *words], check=True, env=environment, stdout=2)


def _unpacked(package: str) -> bool:
    return any(Path("/var/lib/dpkg/info").glob(f"{package}[.:]*list"))


def _installed() -> bool:
    marker = _TOOLS / "buf"
    return _BUF.exists() and marker.exists() and marker.read_text(encoding="utf-8") == BUF
