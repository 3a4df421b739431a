"""The conformance suite itself: its cases, its drivers' papers, and whether it sees a fault."""

import json
from pathlib import Path
from typing import Any

import pytest

from polyglot.compare import comparable, difference, faults

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"
FILE: dict[str, Any] = json.loads((EXAMPLES / "conformance/cases.json").read_text("utf-8"))
CASES: list[dict[str, Any]] = FILE["cases"]
SEVEN = {"digit": 7, "confidence": "3f800000", "probabilities": ["00000000"] * 7 + ["3f800000"]}


def seven(**changed: Any) -> dict[str, Any]:
    """An outcome with a seven."""
    return {"code": 0, "predicted": {"model_version": 1, "predictions": [SEVEN | changed]}}


def test_every_case_has_a_name_of_its_own() -> None:
    """Outcomes are found by it."""
    assert len({case["name"] for case in CASES}) == len(CASES)


def test_every_part_that_a_case_names_is_there() -> None:
    """And no part is there that none names."""

    def named(value: Any) -> set[str]:
        if isinstance(value, dict):
            return set().union(*map(named, value.values()))
        if isinstance(value, list):
            return set().union(*map(named, value))
        return {value} if isinstance(value, str) else set()

    asked = [{key: each for key, each in case.items() if key != "expect"} for case in CASES]
    pixels = FILE["pixels"].keys()
    assert named(asked) & pixels == pixels
    lists = [case["request"].get("pixels", []) for case in CASES if "request" in case]
    assert {name for each in lists for name in each} <= pixels


def test_its_seven_is_the_samples() -> None:
    """The pictures are this project's own."""
    sample = (ROOT / "samples/7.pgm").read_bytes()
    assert bytes.fromhex(FILE["pixels"]["seven"]["hex"]) == sample[-784:]


@pytest.mark.parametrize(
    "paper", sorted(EXAMPLES.glob("*/driver.json")), ids=lambda p: p.parent.name
)
def test_every_driver_has_its_papers(paper: Path) -> None:
    """What it needs, how it is built and run, and mutations that can be made."""
    spec = json.loads(paper.read_text(encoding="utf-8"))
    assert {"language", "needs", "build", "run", "generator", "versions", "mutations"} <= set(spec)
    assert {"floats", "errors"} <= {each["name"] for each in spec["mutations"]}
    for each in spec["mutations"]:
        assert (paper.parent / each["file"]).read_text("utf-8").count(each["from"]) == 1
    assert (paper.parent / "README.md").exists()


@pytest.mark.parametrize(
    ("outcome", "fault"),
    [
        ({}, "no outcome"),
        ({"a": {"code": 3}}, ".code: expected 0, got 3"),
        ({"a": seven(digit=1)}, ".predicted.predictions[0].digit: expected 7, got 1"),
        ({"a": seven(confidence="3f7fffff")}, "digit and confidence are not"),
        ({"a": seven(), "b": seven()}, "not in the file"),
        ({"a": seven(rejection="00000001")}, "not as Python saw it: .predicted.predictions[0].rej"),
    ],
)
def test_what_is_wrong_is_seen(outcome: dict[str, Any], fault: str) -> None:
    """Missing, against the file, against the law, against Python."""
    expect = {"code": "OK", "predicted": {"predictions": [{"digit": 7}]}}
    case = {"name": "a", "expect": expect}
    (found,) = faults([case], outcome, {"a": seven()}).values()
    assert found.startswith(fault)


def test_what_only_looks_different_is_the_same() -> None:
    """Nothing said is as good as something empty; gRPC's own words are each library's."""
    assert comparable({"code": 4, "message": "too late", "details": [], "rejection": None}) == {
        "code": 4
    }
    assert comparable({"reason": "A", "message": "b"}) == {"reason": "A", "message": "b"}
    assert difference(True, 1), "in every other language they differ"
    assert difference(1.0, 1)
