"""What can go wrong in the trainer, and the exit code that tells a script so.

    TrainerError        1   anything foreseen that is neither of these: a target that exists …
    ├── DatasetError    3   the data is missing, truncated, mislabelled or foreign
    └── ModelError      4   the network is not what was expected, or answers wrongly

Each is one sentence for a person: what was looked at, what was expected, what came.
"""

from typing import ClassVar


class TrainerError(Exception):
    """The root of all that the trainer raises on purpose."""

    exit_code: ClassVar[int] = 1


class DatasetError(TrainerError):
    """The data cannot be trained on."""

    exit_code = 3


class ModelError(TrainerError):
    """The network cannot be used."""

    exit_code = 4


def first_sentence(error: BaseException) -> str:
    """What a library's error says first; the advice that follows is for its programmers."""
    lines = str(error).strip().splitlines() or [repr(error)]
    return lines[0].partition(". ")[0]
