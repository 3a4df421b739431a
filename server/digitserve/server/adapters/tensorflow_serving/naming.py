"""What a request names: the model, its version, its signature, its outputs; and who answers it.

What is wrong with it is said in TensorFlow Serving's words, and in its order, because callers and
their scripts know them.
"""

from collections.abc import Collection, Iterable
from typing import Any

from digitserve.server.errors import (
    BadArgument,
    NoSuchServable,
    NoSuchSignature,
    UnknownModel,
)
from digitserve.server.services import Call
from digitserve.server.services.routing import Routing
from digitserve.server.versions.version import Version

# The model: its versions are those of the server.
MODEL = "digits"
# Its one signature, and what a graph would call what goes in.
SIGNATURE = "serving_default"
FEED = SIGNATURE + "_{}:0"


def spec_of(request: Any) -> Any:
    """The `ModelSpec` of a request.

    Raises:
        BadArgument: if there is none.
    """
    if not request.HasField("model_spec"):
        raise BadArgument("model_spec", "MODEL_SPEC_MISSING", "Missing ModelSpec")
    return request.model_spec


def answering(spec: Any, routing: Routing, call: Call) -> Version:
    """The version that answers; where none is named, `stable` or the canary.

    Raises:
        BadArgument: if no model is named, or no label that there is.
        NoSuchServable: if there is no such model or version.
        DomainError: if the version is not ready.
    """
    if not spec.name:
        raise BadArgument(
            "model_spec.name", "MODEL_NAME_MISSING", "ModelSpec has no name specified."
        )
    number, label = version_of(spec)
    servable = f"Latest({spec.name})" if number is None else f"Specific({spec.name}, {number})"
    if spec.name != MODEL:
        raise _not_found("name", spec.name, [MODEL], servable)
    try:
        return routing.answering(number, label, call)
    except UnknownModel as unknown:
        if label is not None:
            raise BadArgument(
                "model_spec.version_label",
                unknown.reason,
                f"Unrecognized servable version label: {label}",
            ) from unknown
        raise _not_found(unknown.kind, unknown.name, unknown.known, servable) from unknown


def version_of(spec: Any) -> tuple[int | None, str | None]:
    """The version's number, or its label, as a `ModelSpec` names it."""
    choice = spec.WhichOneof("version_choice")
    return (
        spec.version.value if choice == "version" else None,
        spec.version_label if choice == "version_label" else None,
    )


def check_signature(spec: Any) -> None:
    """Refuses a signature that is not the one there is."""
    if spec.signature_name not in {"", SIGNATURE}:
        raise NoSuchSignature(spec.signature_name)


def check_inputs(sent: Collection[str], known: str) -> None:
    """Refuses other inputs than the one there is."""
    if len(sent) == 1 and known in sent:
        return
    if len(sent) == 1:
        why = (
            f"Signature input alias: {known}(feed name: {FEED.format(known)}) not found in "
            "request and no default value provided. Inputs expected to be in the request "
            f"{{{_set(sent)}}}, or default input alias set: "
        )
        raise BadArgument("inputs", "INPUT_UNKNOWN", why)
    extra, missing = _set({*sent} - {known}), "" if known in sent else known
    why = (
        f"input size does not match signature: {len(sent)}!=1 len({{{_set(sent)}}}) != "
        f"len({{{known}}}). Sent extra: {{{extra}}}. Missing but required: {{{missing}}}."
    )
    raise BadArgument("inputs", "INPUT_UNKNOWN", why)


def outputs_of(wanted: Iterable[str], known: Collection[str]) -> Collection[str]:
    """Which outputs a request wants: those it names, each once, or all.

    Raises:
        BadArgument: if it names one twice, or one that there is not.
    """
    chosen: list[str] = []
    for name in wanted:
        if name not in known:
            why = (
                f"output tensor alias not found in signature: {name} "
                f"Outputs expected to be in the set {{{_set(known)}}}."
            )
            raise BadArgument("output_filter", "OUTPUT_UNKNOWN", why)
        if name in chosen:
            why = f"duplicate output tensor alias: {name}"
            raise BadArgument("output_filter", "OUTPUT_TWICE", why)
        chosen.append(name)
    return chosen or known


def _set(names: Iterable[str]) -> str:
    return ",".join(sorted(names))


def _not_found(kind: str, name: str, known: Iterable[object], servable: str) -> NoSuchServable:
    why = f"Servable not found for request: {servable}"
    return NoSuchServable(kind, name, known, why)
