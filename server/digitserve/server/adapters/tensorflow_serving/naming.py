"""What a request names: the model, its version, its signature, its outputs; and who answers it.

What is wrong with it is said in TensorFlow Serving's words, and in its order, because callers and
their scripts know them.
"""

from collections.abc import Collection, Iterable
from typing import Any

from digitserve.server.errors import (
    BadForeignField,
    UnknownForeignModel,
    UnknownModel,
    UnknownSignature,
)
from digitserve.server.services import Call
from digitserve.server.services.routing import Routing
from digitserve.server.texts import abridged
from digitserve.server.versions.version import Version

# The model: its versions are those of the server.
MODEL = "digits"
# Its one signature, and what a graph would call what goes in.
SIGNATURE = "serving_default"
FEED = SIGNATURE + "_{}:0"

# Of a caller's names an error says so much: what ends a call has to fit the room for metadata.
_SHOWN = 128


def spec_of(request: Any) -> Any:
    """The `ModelSpec` of a request.

    Raises:
        BadForeignField: if there is none.
    """
    if not request.HasField("model_spec"):
        raise BadForeignField("model_spec", "MODEL_SPEC_MISSING", "Missing ModelSpec")
    return request.model_spec


def answering(spec: Any, routing: Routing, call: Call) -> Version:
    """The version that answers; where none is named, `stable` or the canary.

    Raises:
        BadForeignField: if no model is named, or no label that there is.
        UnknownForeignModel: if there is no such model or version.
        DomainError: if the version is not ready.
    """
    if not spec.name:
        raise BadForeignField(
            "model_spec.name", "MODEL_NAME_MISSING", "ModelSpec has no name specified."
        )
    number, label = version_of(spec)
    if spec.name != MODEL:
        raise _not_found(spec, "name", abridged(spec.name, _SHOWN), [MODEL])
    try:
        return routing.answering(number, label, call)
    except UnknownModel as unknown:
        if label is None:
            raise _not_found(spec, unknown.kind, unknown.name, unknown.known) from unknown
        raise BadForeignField(
            "model_spec.version_label",
            unknown.reason,
            f"Unrecognized servable version label: {abridged(label, _SHOWN)}",
        ) from unknown


def version_of(spec: Any) -> tuple[int | None, str | None]:
    """The version's number, or its label, as a `ModelSpec` names it."""
    choice = spec.WhichOneof("version_choice")
    return (
        spec.version.value if choice == "version" else None,
        spec.version_label if choice == "version_label" else None,
    )


def not_known(spec: Any, known: Iterable[int]) -> UnknownForeignModel:
    """Whoever asks how a version is that there is not, or any of a model that there is not."""
    number, _ = version_of(spec)
    which = "any versions" if number is None else f"version {number}"
    why = f"Could not find {which} of model {abridged(spec.name, _SHOWN)}"
    if spec.name != MODEL:
        return UnknownForeignModel("name", abridged(spec.name, _SHOWN), [MODEL], why)
    return UnknownForeignModel("version", which.removeprefix("version "), sorted(known), why)


def check_signature(spec: Any) -> None:
    """Refuses a signature that is not the one there is."""
    if spec.signature_name not in {"", SIGNATURE}:
        raise UnknownSignature(abridged(spec.signature_name, _SHOWN))


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
        raise BadForeignField("inputs", "INPUT_UNKNOWN", why)
    extra, missing = _set({*sent} - {known}), "" if known in sent else known
    why = (
        f"input size does not match signature: {len(sent)}!=1 len({{{_set(sent)}}}) != "
        f"len({{{known}}}). Sent extra: {{{extra}}}. Missing but required: {{{missing}}}."
    )
    raise BadForeignField("inputs", "INPUT_UNKNOWN", why)


def outputs_of(wanted: Iterable[str], known: Collection[str]) -> Collection[str]:
    """Which outputs a request wants: those it names, each once, or all.

    Raises:
        BadForeignField: if it names one twice, or one that there is not.
    """
    chosen: list[str] = []
    for name in wanted:
        if name not in known:
            why = (
                f"output tensor alias not found in signature: {abridged(name, _SHOWN)} "
                f"Outputs expected to be in the set {{{_set(known)}}}."
            )
            raise BadForeignField("output_filter", "OUTPUT_UNKNOWN", why)
        if name in chosen:
            why = f"duplicate output tensor alias: {name}"
            raise BadForeignField("output_filter", "OUTPUT_TWICE", why)
        chosen.append(name)
    return chosen or known


def _set(names: Iterable[str]) -> str:
    return abridged(",".join(sorted(names)), _SHOWN)


def _not_found(spec: Any, kind: str, name: str, known: Iterable[object]) -> UnknownForeignModel:
    number, _ = version_of(spec)
    model = abridged(spec.name, _SHOWN)
    servable = f"Latest({model})" if number is None else f"Specific({model}, {number})"
    return UnknownForeignModel(kind, name, known, f"Servable not found for request: {servable}")
