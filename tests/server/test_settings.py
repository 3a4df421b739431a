"""`models.toml`: what it may say, and what is said of a mistake in it."""

from pathlib import Path

import pytest

from digitserve.server.versions.bundle import BundleError
from digitserve.server.versions.settings import Gates, Policy, Settings, Share, read_settings


def read(folder: Path, text: str) -> Settings:
    """What the server makes of this text."""
    (folder / "models.toml").write_text(text, encoding="utf-8")
    return read_settings(folder / "models.toml")


def test_no_file_says_nothing(tmp_path: Path) -> None:
    """The newest two, no label, the usual gates."""
    assert read_settings(tmp_path / "models.toml") == Settings()
    assert read(tmp_path, "") == Settings()


def test_all_that_it_may_say(tmp_path: Path) -> None:
    """A gate set is looked for beside the file."""
    said = read(
        tmp_path,
        """
        policy = { specific = [1, 3] }
        labels = { stable = 3, canary = 1 }
        canary = { label = "canary", share = 0.05 }
        shadow = { label = "next" }
        gates = { accuracy = 0.99, margin = 0, image_us = 150, set = "mine.npz" }
        """,
    )
    assert said == Settings(
        policy=Policy(latest=None, specific=frozenset({1, 3})),
        labels={"stable": 3, "canary": 1},
        canary=Share("canary", 0.05),
        shadow=Share("next", 1.0),
        gates=Gates(accuracy=0.99, margin=0, image_us=150, set=tmp_path / "mine.npz"),
    )


@pytest.mark.parametrize(
    ("text", "refused", "wanted"),
    [
        ("", set(), {8, 9}),
        ("", {9}, {7, 8}),
        ("policy.latest = 1", set(), {9}),
        ("policy.latest = 5", set(), {2, 7, 8, 9}),
        ("policy.all = true", {9}, {2, 7, 8, 9}),
        ("policy.specific = [2, 5]", set(), {2}),
    ],
)
def test_policies(tmp_path: Path, text: str, refused: set[int], wanted: set[int]) -> None:
    """Of 2, 7, 8 and 9; what was refused is not one of the latest."""
    assert read(tmp_path, text).policy.wanted({2, 7, 8, 9}, refused) == wanted


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("policy.newest = 2", r"policy\.newest: no such key"),
        ("speed = 1", r"speed: no such key"),
        ("policy = 2", "policy: expected a table, got 2"),
        ("policy = { latest = 1, all = true }", "policy: expected one of latest, all and specific"),
        ("policy.latest = 0", r"policy\.latest: expected how many, from 1, got 0"),
        ("policy.all = false", r"policy\.all: expected true, got False"),
        ("policy.specific = [1, 'b']", r"policy\.specific: expected a list of versions"),
        ("labels.canary = 'three'", r"labels\.canary: expected a version, got 'three'"),
        ("labels.Canary = 3", "labels: expected lower-case letters, digits and dashes, got 'Can"),
        ("canary.share = 0.1", r"canary\.label: expected a label, got nothing"),
        ("canary = { label = 'a', share = 2 }", r"canary\.share: expected a number from 0 to 1"),
        ("shadow.label = 'stable'", r"shadow\.label: expected another label than 'stable'"),
        ("gates.accuracy = true", r"gates\.accuracy: expected a number from 0 to 1, got True"),
        ("gates.image_us = -1", r"gates\.image_us: expected microseconds, got -1"),
        ("gates.set = 5", r"gates\.set: expected the name of an \.npz, got 5"),
        ("labels = [", "cannot be read"),
    ],
)
def test_a_mistake_is_named(tmp_path: Path, text: str, told: str) -> None:
    """The file, the key, what was expected and what came."""
    with pytest.raises(BundleError, match=rf"models\.toml: {told}"):
        read(tmp_path, text)
