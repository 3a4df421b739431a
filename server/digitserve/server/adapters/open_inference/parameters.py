"""What a request's parameters say.  Names that nobody knows are for models, and ours has no use."""

from collections.abc import Mapping
from typing import Any

from digitserve.server.adapters.open_inference import words

_EMPTY_FINAL = "triton_enable_empty_final_response"

# The types that Triton wants of those that it knows.
_KNOWN = {
    "sequence_id": ("int64_param", "string_param"),
    "sequence_start": ("bool_param",),
    "sequence_end": ("bool_param",),
    "priority": ("int64_param", "uint64_param"),
    "timeout": ("int64_param",),
    _EMPTY_FINAL: ("bool_param",),
}
_ANY = ("int64_param", "bool_param", "string_param", "double_param")
_REGION = "shared_memory_region"


def check_parameters(parameters: Mapping[str, Any]) -> None:
    """Checks a request's parameters; each is then left alone, for nothing here depends on it.

    Raises:
        BadForeignField: if one has another type than it should have, or a name of Triton's own.
    """
    for name, value in parameters.items():
        expected = _KNOWN.get(name)
        if expected is None and name.startswith("triton_"):
            raise words.reserved(_EMPTY_FINAL)
        if value.WhichOneof("parameter_choice") not in (expected or _ANY):
            told = "int64_param, bool_param, or string_param"
            raise words.parameter(name, " or ".join(expected) if expected else told)


def check_no_region(tensor: str, parameters: Mapping[str, Any]) -> None:
    """Checks that a tensor's values are in the message.

    Raises:
        ForeignUnsupported: if they are, or are to be, in shared memory.
    """
    if parameters and _REGION in parameters:
        raise words.shared_memory(tensor)
