"""`digitserve-server token`: what it writes, what it says, and what it never does."""

import json
import os
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from digitserve.server.guard import changes
from digitserve.server.guard.commands import token
from digitserve.server.guard.files import read_bytes
from digitserve.server.guard.identity import Limits
from digitserve.server.guard.scopes import Scope
from digitserve.server.guard.table import parse_table
from digitserve.server.guard.tokens import holder_of


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Where the tokens go; it is not there yet."""
    return tmp_path / "tokens.json"


def run(*arguments: object) -> Result:
    """Runs the command in this process."""
    return CliRunner().invoke(token, list(map(str, arguments)))


def make(file: Path, name: str = "camera-7", *arguments: object) -> str:
    """Makes a token; returns it."""
    made = run("make", "--name", name, "--scope", "predict", *arguments, file)
    assert made.exit_code == 0, made.output
    assert made.stderr == ""
    return made.stdout.strip()


def test_a_token_is_told_once_and_kept_as_a_digest(file: Path) -> None:
    """Nobody but the file's owner may read even that."""
    options = ("--scope", "admin", "--images-per-second", 200, "--burst", 400, "--streams", 4)
    told = make(file, "camera-7", *options)
    name, _, secret = told.partition(".")
    assert len(secret) == 43  # 256 bits
    text = file.read_text(encoding="utf-8")
    assert name in text
    assert secret not in text
    assert file.stat().st_mode & 0o777 == 0o600
    holder = holder_of(told, parse_table(file.read_bytes(), file))
    assert (holder.name, holder.id) == ("camera-7", name)
    assert holder.scopes == {*Scope}
    assert holder.limits == Limits(200, 400, 4)
    assert holder.expires == pytest.approx(time.time() + 90 * 86_400, abs=60)


@pytest.mark.parametrize(
    ("span", "seconds"), [("30m", 1800), ("12h", 43_200), ("2w", 1_209_600), ("never", None)]
)
def test_spans(file: Path, span: str, seconds: int | None) -> None:
    """Whole numbers of one unit."""
    make(file, "n", "--expires", span)
    (entry,) = json.loads(file.read_bytes())["tokens"]
    if seconds is None:
        assert "expires" not in entry
    else:
        until = datetime.fromisoformat(entry["expires"]).timestamp()
        assert until == pytest.approx(time.time() + seconds, abs=60)


def test_what_else_the_file_says_is_kept(file: Path) -> None:
    """Names of certificates, the usual limits, a link to the file; and its mode is mended."""
    said = {"certificates": [{"name": "a", "scopes": ["predict"]}], "limits": {"streams": 2}}
    real = file.with_name("real.json")
    real.write_text(json.dumps(said), encoding="utf-8")
    real.chmod(0o644)
    file.symlink_to(real)
    make(file)
    now = json.loads(real.read_bytes())
    assert {key: now[key] for key in said} == said
    assert file.is_symlink()
    assert real.stat().st_mode & 0o777 == 0o600


def test_tokens_are_listed_without_what_tells_them(file: Path) -> None:
    """One a line, with whether it has expired."""
    made = [make(file, "first", "--images-per-second", 5), make(file, "second", "--expires", "1s")]
    told = json.loads(file.read_bytes())
    told["tokens"][1]["expires"] = "2020-01-01T00:00:00Z"
    file.write_text(json.dumps(told), encoding="utf-8")
    listed = run("list", file)
    first, second = listed.stdout.splitlines()
    assert "first  predict" in first
    assert "images_per_second=5" in first
    assert second.endswith("2020-01-01T00:00:00Z (expired)")
    for each in made:
        assert each.partition(".")[2] not in listed.output
    assert told["tokens"][0]["sha256"] not in listed.output


def test_tokens_are_revoked_by_id_or_name(file: Path) -> None:
    """One, or all of a name; what is not there is told by the exit code."""
    first, *_ = [make(file, name) for name in ("a", "a", "b", "b")]
    assert run("revoke", first.partition(".")[0], file).exit_code == 0
    assert run("revoke", "b", file).exit_code == 0
    (left,) = run("list", file).stdout.splitlines()
    assert "  a  " in left
    before = file.read_bytes()
    nobody = run("revoke", "b", file)
    assert nobody.exit_code == 6
    assert len(nobody.stderr.splitlines()) == 1
    assert file.read_bytes() == before


def test_makers_take_turns(file: Path) -> None:
    """Each of many at once has his token in the file."""
    with ThreadPoolExecutor(8) as threads:
        list(
            threads.map(
                lambda number: changes.change(file, _adding(number), create=True), range(40)
            )
        )
    assert {each["name"] for each in json.loads(file.read_bytes())["tokens"]} == {
        str(number) for number in range(40)
    }
    assert [path.name for path in file.parent.iterdir()] == [file.name]


def _adding(number: int) -> "changes.Edit":
    def add(told: dict[str, Any]) -> None:
        entry = {"id": str(number), "sha256": "0" * 64, "name": str(number), "scopes": []}
        told.setdefault("tokens", []).append(entry)

    return add


def test_a_full_disk_leaves_the_file_as_it_was(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And no half one beside it."""
    make(file)
    before = file.read_bytes()

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    broken = run("make", "--name", "n", "--scope", "predict", file)
    assert broken.exit_code == 5
    assert "No space left" in broken.stderr
    assert broken.stdout == ""  # a token that is not in the file is none
    assert file.read_bytes() == before
    assert [path.name for path in file.parent.iterdir()] == [file.name]


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("make", "--scope", "predict"), 2, "--name"),
        (("make", "--name", "n"), 2, "--scope"),
        (("make", "--name", "n", "--scope", "root"), 2, "root"),
        (("make", "--name", "a\nb", "--scope", "predict"), 2, "printable"),
        (("make", "--name", "n", "--scope", "predict", "--expires", "3y"), 2, "90d, 12h"),
        (("make", "--name", "n", "--scope", "predict", "--burst", "3"), 2, "--burst goes with"),
        (("list",), 5, "cannot be read: No such file"),
        (("revoke", "n"), 5, "cannot be read: No such file"),
    ],
)
def test_what_is_wrong_is_said(
    file: Path, arguments: tuple[str, ...], code: int, said: str
) -> None:
    """With an exit code of its own, and no file made."""
    result = run(*arguments, file)
    assert result.exit_code == code
    assert said in result.stderr
    assert not file.exists()


def test_a_file_that_is_wrong_is_not_made_worse(file: Path) -> None:
    """Nor is anything told of what is in it."""
    file.write_text('{"tokens": [{"secret": "hunter2"}]}', encoding="utf-8")
    before = read_bytes(file)
    for arguments in (("make", "--name", "n", "--scope", "predict"), ("list",), ("revoke", "n")):
        result = run(*arguments, file)
        assert result.exit_code == 5
        assert "hunter2" not in result.output
        assert len(result.stderr.splitlines()) == 1
    assert file.read_bytes() == before
