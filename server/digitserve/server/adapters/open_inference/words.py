"""What is refused, in Triton's words: its clients look for them.

Texts and codes are those of the real server, asked the same wrong things; where more is taken here
than there, or less, a text says so at its end.  What a caller sent is told to so many letters: a
text travels in a trailer, and clients take no long ones.
"""

from collections.abc import Sequence

from digitserve.server.adapters.open_inference.model import DATATYPES, INPUT, MODEL
from digitserve.server.errors import (
    BadForeignField,
    ForeignUnsupported,
    UnknownForeignModel,
    UnknownModel,
)
from digitserve.server.texts import abridged

_OF_MODEL = f"for model '{MODEL}'"
_OF_INPUT = f"for input '{INPUT}' {_OF_MODEL}"
_LONGEST, _MOST = 64, 8
_NUMBER = ", version should be an integral value > 0"
# Those that the protocol has; any other is told as <invalid>.
_KNOWN = {"BOOL", "BYTES", "FP16", "FP32", "FP64", "BF16"}.union(
    f"{kind}{bits}" for kind in ("INT", "UINT") for bits in (8, 16, 32, 64)
)


def unknown_model(name: str) -> UnknownForeignModel:
    """There is one model."""
    return UnknownForeignModel(
        "model", _cut(name), [MODEL], f"Request for unknown model: '{_cut(name)}' is not found"
    )


def unknown_version(error: UnknownModel, version: str) -> UnknownForeignModel:
    """Neither a version nor a label."""
    text = f"Request for unknown model: '{MODEL}' version {_cut(version)} is not found"
    return UnknownForeignModel(error.kind, _cut(error.name), error.known, text)


def negative_version(version: str) -> BadForeignField:
    """Triton has such numbers for itself."""
    return _bad(
        "model_version",
        "VERSION_INVALID",
        f"invalid model version specified '{_cut(version)}' {_NUMBER}",
    )


def huge_version(version: str) -> BadForeignField:
    """More than an int64 holds."""
    text = f"failed to get model version from specified version string '{_cut(version)}'"
    return _bad("model_version", "VERSION_INVALID", f"{text} (details: stol){_NUMBER}")


# --- inputs ---------------------------------------------------------------------------------------


def unexpected_input(name: str) -> BadForeignField:
    """The only input has another name."""
    return _bad("inputs", "INPUT_UNKNOWN", f"unexpected inference input '{_cut(name)}' {_OF_MODEL}")


def input_count(request: str, names: Sequence[str]) -> BadForeignField:
    """One input is expected."""
    got = ",".join(f"'{_cut(name)}'" for name in sorted(names)[:_MOST])
    missing = "" if INPUT in names else f"'{INPUT}'"
    text = (
        f"expected 1 inputs but got {len(names)} inputs {_OF_MODEL}. Got input(s) [{got}], but "
        f"missing required input(s) [{missing}]. Please provide all required input(s)."
    )
    return _bad("inputs", "INPUT_COUNT", _of_request(request) + text)


def input_again(request: str) -> BadForeignField:
    """The same input came twice."""
    text = f"{_of_request(request)}input '{INPUT}' already exists in request"
    return _bad("inputs", "INPUT_COUNT", text)


def datatype(request: str, name: str) -> BadForeignField:
    """Neither UINT8 nor FP32."""
    got = name if name in _KNOWN else "<invalid>"
    first, *others = (f"'{each}'" for each in DATATYPES)
    text = f"inference input '{INPUT}' data-type is '{got}', but model '{MODEL}' expects {first}"
    text += "".join(f" or {each}" for each in others)
    return _bad("inputs.datatype", "DATATYPE", _of_request(request) + text)


def no_shape(request: str) -> BadForeignField:
    """The shape is empty."""
    text = f"input '{INPUT}' has no shape but model requires batch dimension for '{MODEL}'"
    return _bad("inputs.shape", "SHAPE", _of_request(request) + text)


def shape(request: str, got: Sequence[int]) -> BadForeignField:
    """None of the shapes that stand for images."""
    told = ",".join(map(str, got[:_MOST]))
    text = f"unexpected shape {_OF_INPUT}. Expected [-1,28,28], got [{told}]."
    note = " NOTE: [28,28], [-1,28,28,1] and [-1,784] are taken too."
    return _bad("inputs.shape", "SHAPE", _of_request(request) + text + note)


def too_many(request: str, most: int) -> BadForeignField:
    """More images than one message may have."""
    text = f"inference request batch-size must be <= {most} for '{MODEL}'"
    return _bad("inputs.shape", "TOO_MANY_IMAGES", _of_request(request) + text)


def size(request: str, expected: int, got: int) -> BadForeignField:
    """The values are more, or fewer, than the shape says."""
    text = f"input byte size mismatch {_OF_INPUT}. Expected {expected}, got {got}"
    return _bad("raw_input_contents", "PIXELS_LENGTH", _of_request(request) + text)


def no_data() -> BadForeignField:
    """Values neither in `contents` nor as raw bytes."""
    text = f"unable to find data for input tensor '{INPUT}' {_OF_MODEL} in request."
    return _bad("inputs.contents", "CONTENTS_MISSING", text)


def raw_and_typed() -> BadForeignField:
    """Values in both."""
    text = f"contents field must not be specified when using raw_input_contents for '{INPUT}'"
    return _bad("inputs.contents", "CONTENTS_TWICE", f"{text} {_OF_MODEL}")


def raw_surplus(got: int) -> BadForeignField:
    """Triton overlooks what belongs to no input; here nothing that was sent is."""
    text = f"expected 1 raw_input_contents but got {got} {_OF_MODEL}"
    return _bad("raw_input_contents", "CONTENTS_TWICE", text)


def typed_otherwise(got: str, expected: str) -> BadForeignField:
    """Values in a list that is another datatype's."""
    text = f"unexpected explicit tensor data for input tensor '{INPUT}' {_OF_MODEL} of type"
    return _bad("inputs.contents", "DATATYPE", f"{text} '{got}', expected datatype '{expected}'")


def typed_twice() -> BadForeignField:
    """Values in several lists."""
    text = f"unexpected explicit tensor data for input tensor '{INPUT}' {_OF_MODEL}"
    return _bad("inputs.contents", "CONTENTS_TWICE", f"{text}, binary data was already supplied.")


def over_255(value: int) -> BadForeignField:
    """Triton takes the lowest byte; that is another pixel."""
    text = f"expected uint_contents from 0 to 255 for a UINT8 tensor, got {value}"
    return _bad("inputs.contents.uint_contents", "PIXELS_OUT_OF_RANGE", text)


def shared_memory(name: str) -> ForeignUnsupported:
    """Whoever asks over a network shares none."""
    return ForeignUnsupported(f"shared memory is not supported here, for tensor '{_cut(name)}'")


# --- outputs and parameters -----------------------------------------------------------------------


def unexpected_output(name: str) -> BadForeignField:
    """No such output."""
    text = f"unexpected inference output '{_cut(name)}' {_OF_MODEL}"
    return _bad("outputs", "OUTPUT_UNKNOWN", text)


def classes(got: object) -> BadForeignField:
    """Of an output that no classes are of, or so many there are not."""
    if not isinstance(got, int):
        text = "invalid value type for 'classification' parameter, expected int64_param"
    else:
        text = "invalid value for 'classification' parameter, expected >= 0"
    return _bad("outputs.parameters", "PARAMETER", text)


def not_classified(name: str) -> ForeignUnsupported:
    """Only probabilities are of classes."""
    return ForeignUnsupported(f"classification is of 'probabilities' only, not of '{name}'")


def parameter(name: str, expected: str) -> BadForeignField:
    """A parameter of another type than it has."""
    text = f"invalid value type for '{_cut(name)}' parameter, expected {expected}."
    return _bad("parameters", "PARAMETER", text)


def reserved(allowed: str) -> BadForeignField:
    """Triton keeps its own names."""
    text = (
        "parameter keys starting with 'triton_' are reserved for Triton usage. Only the following "
        f"keys starting with 'triton_' are allowed: {allowed}"
    )
    return _bad("parameters", "PARAMETER", text)


def no_statistics(name: str) -> BadForeignField:
    """Statistics of a model that is not here."""
    return _bad("name", "MODEL_UNKNOWN", f"requested model '{_cut(name)}' is not available")


def no_statistics_of_version() -> BadForeignField:
    """Statistics of a version that is not here."""
    text = f"requested model version is not available {_OF_MODEL}"
    return _bad("version", "VERSION_UNKNOWN", text)


# --- the repository -------------------------------------------------------------------------------


def repository() -> ForeignUnsupported:
    """There is one."""
    return ForeignUnsupported("'repository_name' specification is not supported")


def load_parameter(kind: str, name: str) -> BadForeignField:
    """A parameter of Load or Unload that says nothing here."""
    return _bad("parameters", "PARAMETER", f"unrecognized {kind} parameter '{_cut(name)}'.")


def no_version(kind: str) -> BadForeignField:
    """Which version, nobody said."""
    text = f"{kind}: expected a version, as the model name '{MODEL}/3' or as parameter 'version'"
    return _bad("model_name", "VERSION_MISSING", text)


def _of_request(request: str) -> str:
    return f"[request id: {_cut(request) or '<id_unknown>'}] "


def _cut(sent: str) -> str:
    return abridged(sent, _LONGEST)


def _bad(field: str, reason: str, text: str) -> BadForeignField:
    return BadForeignField(field, reason, text)
