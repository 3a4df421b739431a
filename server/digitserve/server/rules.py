"""What a value of the configuration may be: one rule for all who can say it.

    variable, flag ──▶ of_text ──┐
    the file ────────▶ of_file ──┼──▶ fits ──▶ the value, or Unfit: what was expected, what came
    Config(…) ───────▶ check ────┘

A rule knows neither fields nor where a value came from: whoever asks it names that.
"""

import os
import re
from abc import ABC, abstractmethod
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

from digitserve.server.addresses import AddressError, host_and_port

_LONGEST = 80  # characters of a wrong value that are told


class Unfit(ValueError):
    """A value that breaks its rule; says what was expected and what came."""

    def __init__(self, expected: str, came: object) -> None:
        super().__init__(f"expected {expected}, got {_told(came)}")


class Rule(ABC):
    """What a value may be.

    Attributes:
        expected: the same in words, as in "expected …".
        metavar: the same in a word, for the help of a flag.
    """

    def __init__(self, expected: str, metavar: str) -> None:
        self.expected = expected
        self.metavar = metavar

    def of_text(self, text: str) -> Any:
        """The value that a variable or a flag says.

        Raises:
            Unfit: if it may not be.
        """
        try:
            value = self._parse(text)
        except Unfit:
            raise
        except ValueError:
            value = None
        return self._fit(value, text)

    def of_file(self, told: Any, folder: Path) -> Any:
        """The value that a TOML file in this folder says.

        Raises:
            Unfit: if it may not be.
        """
        return self._fit(self._convert(told, folder), told)

    def check(self, value: object) -> None:
        """Holds a value that is there already to the rule.

        Raises:
            Unfit: if it may not be.
        """
        self._fit(value, value)

    def _fit(self, value: Any, came: object) -> Any:
        if not self.fits(value):
            raise Unfit(self.expected, came)
        return value

    def _parse(self, text: str) -> Any:
        return text

    def _convert(self, told: Any, folder: Path) -> Any:  # noqa: ARG002 - for those who name paths
        return told

    @abstractmethod
    def fits(self, value: Any) -> bool:
        """Whether a value may be."""


class Number(Rule):
    """A number of a unit within a range, both ends included; infinity and NaN are in none."""

    def __init__(self, least: float, most: float, unit: str, kind: str = "a number") -> None:
        super().__init__(f"{kind} from {least} to {most} ({unit})", unit.upper())
        self._least, self._most = least, most

    def _parse(self, text: str) -> float:
        return float(text)

    def fits(self, value: Any) -> bool:  # noqa: D102 - see Rule
        number = isinstance(value, int | float) and not isinstance(value, bool)
        return number and self._least <= value <= self._most


class Whole(Number):
    """The same without a fraction; where asked, a power of two."""

    def __init__(self, least: int, most: int, unit: str, *, power_of_two: bool = False) -> None:
        super().__init__(least, most, unit, "a power of two" if power_of_two else "a whole number")
        self._power_of_two = power_of_two

    def _parse(self, text: str) -> int:
        return int(text)

    def fits(self, value: Any) -> bool:  # noqa: D102 - see Rule
        if not isinstance(value, int) or not super().fits(value):
            return False
        return not self._power_of_two or value.bit_count() == 1


class Processes(Whole):
    """How many processes; `auto` for one on each core that we may use."""

    def __init__(self, most: int) -> None:
        super().__init__(1, most, "processes")
        self.expected += " or auto"
        self.metavar = "N|auto"
        self._most_processes = most

    def _parse(self, text: str) -> int:
        return self._auto() if text == "auto" else super()._parse(text)

    def _convert(self, told: Any, folder: Path) -> Any:  # noqa: ARG002 - see Rule
        return self._auto() if told == "auto" else told

    def _auto(self) -> int:
        cores = getattr(os, "sched_getaffinity", lambda _: range(os.cpu_count() or 1))(0)
        return min(len(cores), self._most_processes)


class Switch(Rule):
    """On or off."""

    def __init__(self) -> None:
        super().__init__("true or false", "BOOLEAN")

    def _parse(self, text: str) -> bool | None:
        return {"true": True, "1": True, "false": False, "0": False}.get(text.lower())

    def fits(self, value: Any) -> bool:  # noqa: D102 - see Rule
        return isinstance(value, bool)


class OneOf(Rule):
    """One of a few words."""

    def __init__(self, *words: str) -> None:
        super().__init__(" or ".join(words), f"[{'|'.join(words)}]")
        self._words = words

    def fits(self, value: Any) -> bool:  # noqa: D102 - see Rule
        return isinstance(value, str) and value in self._words


class Words(Rule):
    """A text."""

    def __init__(self) -> None:
        super().__init__("a text", "TEXT")

    def fits(self, value: Any) -> bool:  # noqa: D102 - see Rule
        return isinstance(value, str) and bool(value) and value.isprintable()


class FileMode(Rule):
    """A file's mode, in octal."""

    def __init__(self) -> None:
        super().__init__("a mode from 0000 to 0777", "MODE")

    def fits(self, value: Any) -> bool:  # noqa: D102 - see Rule
        return isinstance(value, str) and bool(re.fullmatch("0?[0-7]{3}", value))


class Address(Rule):
    """Where to listen; `unix:PATH` too, unless only TCP will do."""

    def __init__(self, *, unix: bool = True) -> None:
        super().__init__(
            *("host:port or unix:PATH", "ADDRESS") if unix else ("host:port", "HOST:PORT")
        )
        self._unix = unix

    def fits(self, value: Any) -> bool:  # noqa: D102 - see Rule
        if not isinstance(value, str):
            return False
        if value.startswith("unix:"):
            return self._unix and value != "unix:"
        with suppress(AddressError):
            return bool(host_and_port(value))
        return False


class Origin(Rule):
    """Of whose pages: `scheme://host[:port]`, or `*` for anybody's."""

    def __init__(self) -> None:
        super().__init__("scheme://host[:port] or *", "ORIGIN")

    def fits(self, value: Any) -> bool:  # noqa: D102 - see Rule
        return isinstance(value, str) and bool(re.fullmatch(r"\*|https?://[^/\s,*?#@]+", value))


class There(Rule):
    """A path to what is there; the file says it from its own folder.

    Whether it is there is asked of a user's word alone: a `Config` may be made before its files.
    What stands in the place of a path to a secret is not told: it may be the secret.
    """

    def __init__(self, *, folders: bool = True, secret: bool = False) -> None:
        super().__init__(*("a path", "PATH") if folders else ("a file", "FILE"))
        self.expected += " that is there"
        self._folders, self._secret = folders, secret

    def _parse(self, text: str) -> Path | None:
        return self._convert(text, Path())

    def _convert(self, told: Any, folder: Path) -> Path | None:
        if not isinstance(told, str) or not told:
            return None
        path = folder / told
        there = path.exists() and (self._folders or not path.is_dir())
        return path if there else None

    def _fit(self, value: Any, came: object) -> Any:
        return super()._fit(value, _Hidden() if self._secret else came)

    def fits(self, value: Any) -> bool:  # noqa: D102 - see Rule
        return isinstance(value, Path)


class Many(Rule):
    """One or more values of a rule: commas between them in a variable, a list in the file."""

    def __init__(self, of: Rule) -> None:
        super().__init__(f"a list of {of.expected}", of.metavar)
        self._of = of

    def of_texts(self, texts: Iterable[str]) -> tuple[Any, ...]:
        """The value of a flag that may be given again.

        Raises:
            Unfit: if one of them may not be.
        """
        return tuple(self._of.of_text(each) for each in texts)

    def _parse(self, text: str) -> tuple[Any, ...]:
        return self.of_texts(each.strip() for each in text.split(","))

    def _convert(self, told: Any, folder: Path) -> Any:
        if not isinstance(told, list):
            return told
        return tuple(self._of.of_file(each, folder) for each in told)

    def fits(self, value: Any) -> bool:  # noqa: D102 - see Rule
        return isinstance(value, tuple) and bool(value) and all(map(self._of.fits, value))


class _Hidden:
    def __repr__(self) -> str:
        return "something else, which is not shown"


def _told(value: object) -> str:
    """A wrong value in one short line."""
    try:
        text = str(value).lower() if isinstance(value, bool) else repr(value)
    except ValueError:  # Python writes no number of more than 4,300 digits
        text = "a very long number"
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"
