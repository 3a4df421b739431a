"""The documents: what they point to is there, and what they tell people to type is understood."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from digitserve.client.cli import main as digitserve
from digitserve.server.__main__ import main as digitserve_server

ROOT = Path(__file__).parents[2]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("deploy/*.md")])
DEPLOY = sorted(each for each in (ROOT / "deploy").rglob("*") if each.is_file())
COMMANDS: dict[str, click.Command] = {
    "digitserve": digitserve,
    "digitserve-server": digitserve_server,
}

_LINK = re.compile(r"\]\((?!https?:|mailto:)([^)#\s]*)(?:#([^)\s]*))?\)")
_MENTION = re.compile(r"\bdocs/[\w/-]+\.md\b(?:#([\w-]+))?")
_HEADING = re.compile(r"^#+ (.*)$", re.MULTILINE)
_BLOCK = re.compile(r"^```\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def name(path: Path) -> str:
    """A file's place in the tree."""
    return str(path.relative_to(ROOT))


def anchors(path: Path) -> set[str]:
    """What a link can name in a document, as GitHub makes it of a heading."""
    headings = _HEADING.findall(path.read_text(encoding="utf-8"))
    return {re.sub(r"[^\w\- ]", "", each.lower()).replace(" ", "-") for each in headings}


@pytest.mark.parametrize("document", DOCUMENTS, ids=name)
def test_every_link_leads_somewhere(document: Path) -> None:
    """To a file, and a heading in it."""
    for target, anchor in _LINK.findall(document.read_text(encoding="utf-8")):
        found = document.parent / target if target else document
        assert found.exists(), target
        assert not anchor or anchor in anchors(found), f"{target}#{anchor}"


@pytest.mark.parametrize("file", DEPLOY, ids=name)
def test_what_is_deployed_names_documents_that_are_there(file: Path) -> None:
    """And headings in them; and says at its top what it is for, where it can."""
    text = file.read_text(encoding="utf-8")
    for found in _MENTION.finditer(text):
        document = ROOT / found[0].partition("#")[0]
        assert document.exists(), found[0]
        assert not found[1] or found[1] in anchors(document), found[0]
    assert file.suffix == ".json" or text.startswith("# ")


def typed(document: Path) -> Iterator[list[str]]:
    """Our commands in a document's blocks, word by word, up to where a shell takes over."""
    for block in _BLOCK.findall(document.read_text(encoding="utf-8").replace("\\\n", "")):
        for line in block.splitlines():
            for command in re.split(r"[;|]|&&", line.partition(" #")[0]):
                words = command.partition(">")[0].split()
                if words and words[0] in COMMANDS:
                    yield shlex.split(command.partition(">")[0])


@pytest.mark.parametrize("document", DOCUMENTS, ids=name)
def test_what_is_to_be_typed_is_understood(document: Path) -> None:
    """Each command is there, and so is each of its options."""
    for program, *words in typed(document):
        done = CliRunner().invoke(COMMANDS[program], [*words, "--help"])
        assert done.exit_code == 0, (words, done.output)
