"""A language: what its `driver.json` says, and how its driver is built and run."""

import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from polyglot import CI, EXAMPLES, OUT, ROOT
from polyglot.compare import Case, Outcomes
from polyglot.tools import search_path
from proving import Shortfall, Skipped

TREE = OUT / "tree"
_BUILD_S = 1200
_RUN_S = 240


@dataclass(frozen=True)
class Language:
    """One folder of `examples/` that has a driver."""

    folder: str
    spec: dict[str, Any]

    @property
    def name(self) -> str:
        """As people call it."""
        return str(self.spec["language"])

    @property
    def place(self) -> Path:
        """Where it is built."""
        return TREE / "examples" / self.folder

    def require(self) -> None:
        """Checks that the toolchain is there.

        Raises:
            Skipped: if it is not, and this is not CI.
            Shortfall: if it is not, and it is.
        """
        for command in self.spec.get("needs", ()):
            if self._shell(command, 60).returncode:
                raise (Shortfall if CI else Skipped)(f"needs a toolchain: `{command}` failed")

    def build(self) -> float:
        """Builds it; returns the seconds that it took.

        Raises:
            Shortfall: with the end of what the build said.
        """
        start = time.monotonic()
        for command in self.spec["build"]:
            done = self._shell(command, _BUILD_S)
            if done.returncode:
                said = "\n".join((done.stdout + done.stderr).splitlines()[-30:])
                raise Shortfall(f"`{command}` failed:\n{said}")
        return time.monotonic() - start

    def versions(self) -> list[str]:
        """What its tools and libraries say of themselves, a line each."""
        said = (self._shell(command, 60).stdout for command in self.spec["versions"])
        return [line.strip() for lines in said for line in lines.splitlines() if line.strip()]

    def run(self, cases: dict[str, Any], servers: dict[str, Any]) -> Outcomes:
        """Runs all cases.

        Raises:
            Shortfall: if it ended badly, or what it printed is no JSON.
        """
        files = []
        for name, content in (("cases", cases), ("servers", servers)):
            files.append(self.place / f".{name}.json")
            files[-1].write_text(json.dumps(content), encoding="utf-8")
        outcomes: Outcomes = self._driver("run", *map(str, files))
        return outcomes

    def latency(self, address: str, calls: int) -> dict[str, int]:
        """Times so many Predicts, one after the other."""
        times: dict[str, int] = self._driver("latency", address, str(calls))
        return times

    @contextmanager
    def mutated(self, mutation: dict[str, str]) -> Iterator[None]:
        """Its source is wrong, on purpose, while the block runs."""
        file = self.place / mutation["file"]
        source = file.read_text(encoding="utf-8")
        if source.count(mutation["from"]) != 1:
            raise Shortfall(f"{mutation['from']!r} is not once in {mutation['file']}")
        file.write_text(source.replace(mutation["from"], mutation["to"]), encoding="utf-8")
        try:
            yield
        finally:
            file.write_text(source, encoding="utf-8")

    def _driver(self, *arguments: str) -> Any:
        try:
            done = subprocess.run(
                [*self.spec["run"], *arguments],
                cwd=self.place,
                env=_environment(),
                capture_output=True,
                text=True,
                timeout=_RUN_S,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise Shortfall(f"the driver was not done after {_RUN_S} s") from None
        try:
            if done.returncode:
                raise ValueError(f"exit code {done.returncode}")
            return json.loads(done.stdout)
        except ValueError as error:
            said = "\n".join(done.stderr.splitlines()[-20:])
            raise Shortfall(f"the driver: {error}\n{said}") from None

    def _shell(self, command: str, timeout: float) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["sh", "-c", command],
            cwd=self.place,
            env=_environment(),
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )


def _environment() -> dict[str, str]:
    return os.environ | {"PATH": search_path()}


def languages(only: list[str] | None = None) -> list[Language]:
    """Those that have a driver, Python first: the others are compared with it."""
    folders = sorted(file.parent.name for file in EXAMPLES.glob("*/driver.json"))
    folders.sort(key=lambda folder: folder != "python")
    return [
        Language(folder, json.loads((EXAMPLES / folder / "driver.json").read_text("utf-8")))
        for folder in folders
        if not only or folder in {"python", *only}
    ]


def fresh_tree(keep: bool = False) -> None:
    """Copies what is in the repository, and nothing that was built, to `TREE`."""
    if not keep:
        shutil.rmtree(TREE, ignore_errors=True)
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    for name in filter(None, listed.stdout.split("\0")):
        source, copy = ROOT / name, TREE / name
        if source.is_file() and not _same(source, copy):
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, copy)


def _same(source: Path, copy: Path) -> bool:
    return copy.exists() and copy.read_bytes() == source.read_bytes()


def read_cases() -> tuple[list[Case], dict[str, Any]]:
    """The cases, and the whole file."""
    whole = json.loads((EXAMPLES / "conformance/cases.json").read_text(encoding="utf-8"))
    return whole["cases"], whole


def cases_for(servers: dict[str, Any], version: str | None = None) -> dict[str, Any]:
    """The file, with the cases that these servers, of this version, can be asked.

    Args:
        servers: those that there are.
        version: of an older digitserve; None: of this one.
    """
    cases, whole = read_cases()
    asked = [case for case in cases if servers.keys() >= set(case["servers"])]
    if version is not None:
        asked = [case for case in asked if _release(case.get("since", "0")) <= _release(version)]
    return whole | {"cases": asked}


def _release(version: str) -> tuple[int, ...]:
    return tuple(map(int, version.split(".")))
