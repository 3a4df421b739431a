"""Holds what a driver printed against the case file, and against what another driver printed."""

import struct
from typing import Any

import grpc

Case = dict[str, Any]
Outcome = dict[str, Any]
Outcomes = dict[str, Outcome]

# What differs from run to run, or from library to library, and is judged by `expect` alone.
_OWN_WORDS = {"elapsed_ms", "streams", "notices"}


def faults(
    cases: list[Case], outcomes: Outcomes, reference: Outcomes | None = None
) -> dict[str, str]:
    """What is not as the file says, or not as the reference saw it, by the name of the case."""
    names = [case["name"] for case in cases]
    found = {name: "not in the file" for name in outcomes if name not in names}
    for case in cases:
        if fault := _fault(case, outcomes, reference):
            found[case["name"]] = fault
    return found


def _fault(case: Case, outcomes: Outcomes, reference: Outcomes | None) -> str:
    """The first thing that is wrong with a case's outcome; empty if nothing is."""
    name = case["name"]
    if name not in outcomes:
        return "no outcome"
    for fault in _against_file(case, outcomes):
        return fault
    if reference is None or name not in reference:
        return ""
    apart = difference(comparable(outcomes[name]), comparable(reference[name]))
    return f"not as Python saw it: {apart}" if apart else ""


# --- against another driver ----------------------------------------------------------------------


def comparable(value: Any) -> Any:
    """Without what is empty, and without what each library says in its own words."""
    if isinstance(value, list):
        return [comparable(each) for each in value]
    if not isinstance(value, dict):
        return value
    kept = {key: comparable(each) for key, each in value.items() if key not in _OWN_WORDS}
    if "reason" not in value:  # gRPC's own message
        kept.pop("message", None)
    return {key: each for key, each in kept.items() if not _empty(each)}


def _empty(value: Any) -> bool:
    return value is None or (isinstance(value, str | list | dict) and not value)


def difference(got: Any, expected: Any, at: str = "") -> str:
    """The first place where two differ, and how; empty if they do not."""
    if isinstance(got, dict) and isinstance(expected, dict):
        for key in sorted(got.keys() | expected.keys()):
            if found := difference(got.get(key), expected.get(key), f"{at}.{key}"):
                return found
        return ""
    if isinstance(got, list) and isinstance(expected, list) and len(got) == len(expected):
        pairs = enumerate(zip(got, expected, strict=True))
        found_at = (difference(one, other, f"{at}[{index}]") for index, (one, other) in pairs)
        return next(filter(None, found_at), "")
    # `True == 1` and `1 == 1.0` in Python, and in no other language
    same = type(got) is type(expected) and got == expected
    return "" if same else f"{at}: expected {_short(expected)}, got {_short(got)}"


def _short(value: Any) -> str:
    text = f"{len(value)} elements" if isinstance(value, list) else repr(value)
    return text if len(text) < 100 else text[:97] + "..."


# --- against the file ----------------------------------------------------------------------------


def _against_file(case: Case, outcomes: Outcomes) -> list[str]:
    outcome = outcomes[case["name"]]
    expect = dict(case["expect"])
    found = _special(expect, outcome, outcomes)
    if "responses" in expect:
        expect["responses"] = _repeated(expect["responses"])
    found.append(_missing(expect, outcome))
    found += [_law(each) for each in _predictions(outcome)]
    return list(filter(None, found))


def _special(expect: dict[str, Any], outcome: Outcome, outcomes: Outcomes) -> list[str]:
    """Takes what is no part of an outcome out of `expect`, and judges it."""
    found = []
    if "elapsed_ms" in expect:
        least, most = expect.pop("elapsed_ms")
        if not least <= outcome.get("elapsed_ms", -1) <= most:
            found.append(f"expected {least} to {most} ms, took {outcome.get('elapsed_ms')}")
    if "same_as" in expect:
        alone = _predictions(outcomes.get(expect.pop("same_as"), {}))
        if not alone or any(each != alone[0] for each in _predictions(outcome)):
            found.append("not the same bits as alone")
    if "streams_at_least" in expect:
        least = expect.pop("streams_at_least")
        if outcome.get("streams", 0) < least:
            found.append(f"expected {least} streams or more, got {outcome.get('streams')}")
    if "notices" in expect and set(expect["notices"]) != set(outcome.get("notices", ())):
        found.append(f"expected notices {expect['notices']}, got {outcome.get('notices')}")
    expect.pop("notices", None)
    if "digits" in expect:
        found.append(_numbered(expect.pop("digits"), outcome.get("outcomes", [])))
    return found


def _numbered(digits: list[int], outcomes: list[Outcome]) -> str:
    """Every frame once, in order, with its digit."""
    for at, each in enumerate(outcomes):
        got = [one.get("digit") for one in _predictions(each)]
        if each.get("frame_id") != f"frame-{at}" or got != [digits[at % len(digits)]]:
            return f"outcome {at} is {each.get('frame_id')!r} with the digits {got}"
    return ""


def _repeated(responses: list[Outcome]) -> list[Outcome]:
    return [
        {key: each + at if key == "sequence" else each for key, each in response.items()}
        for response in ({**one} for one in responses)
        for at in range(response.pop("times", 1))
    ]


def _missing(expect: Any, got: Any, at: str = "") -> str:
    """The first part of `expect` that is not there; empty if all of it is."""
    if isinstance(expect, dict):
        for key, each in expect.items():
            value = got.get(key) if isinstance(got, dict) else None
            wanted = grpc.StatusCode[each].value[0] if key == "code" else each
            if found := _missing(wanted, value, f"{at}.{key}"):
                return found
        return ""
    if _empty(expect) and _empty(got):
        return ""
    if isinstance(expect, list) and isinstance(got, list) and len(expect) == len(got):
        pairs = enumerate(zip(expect, got, strict=True))
        found_at = (_missing(one, other, f"{at}[{index}]") for index, (one, other) in pairs)
        return next(filter(None, found_at), "")
    return difference(got, expect, at)


def _predictions(outcome: Outcome) -> list[Outcome]:
    """Every prediction in an outcome, wherever it is."""
    parts = [outcome, *outcome.get("responses", ()), *outcome.get("outcomes", ())]
    return [each for part in parts for each in (part.get("predicted") or {}).get("predictions", ())]


def _law(prediction: Outcome) -> str:
    """What holds for every prediction: the digit is the likeliest, the sum is 1."""
    values = [_float(bits) for bits in prediction.get("probabilities") or ()]
    if not values:
        return ""
    if abs(sum(values) - 1) > 1e-5:
        return f"the probabilities' sum is {sum(values)}"
    best = max(values)
    if best != _float(prediction["confidence"]) or best != values[prediction["digit"]]:
        return "digit and confidence are not those of the highest probability"
    return ""


def _float(bits: str) -> float:
    (value,) = struct.unpack(">f", bytes.fromhex(bits))
    return float(value)
