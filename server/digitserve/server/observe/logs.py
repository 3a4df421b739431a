"""The log: a line for each call that is to be told, and all else the server says, in one form.

A line says who called what, how it ended and how long it took.  What was sent is not in it: no
pixels, no names of frames, no metadata; and what looks like a credential is struck out of any line,
whoever wrote it.
"""

import json
import logging
import re
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from digitserve.server.observe.counted import OK
from digitserve.server.observe.facts import CURRENT, Facts
from digitserve.server.observe.observer import Ending
from digitserve.server.services import Call
from digitserve.server.services.window import Frame

FORMS = ("console", "json")
CHOICES = ("none", "failures", "all")

_log = logging.getLogger("digitserve.server.calls")

# Lines in one second: callers that are refused by the thousand are not to fill a disk.
_MOST_LINES = 500

# What a caller shows: `Bearer …`, a JWT, a token of ours.  And bytes, which may be pixels.
_SECRETS = re.compile(
    r"(?i:\bbearer\s+)[^\s'\",]+"
    r"|\beyJ[\w-]+\.[\w-]+\.[\w-]*"
    r"|\b[0-9a-f]{16}\.[\w-]{43}"
    r"|(?<![\w'])b(?:'(?:[^'\\]|\\.){16,}'|\"(?:[^\"\\]|\\.){16,}\")"
)
_STRUCK = "[struck out]"
_FOREIGN = re.compile(r"[^ -~]")
_PLAIN = re.compile(r"[\w.:/\[\]+-]*", re.ASCII)


def set_up_logs(form: str, worker: int | None = None) -> None:
    """Writes the log to stderr, as `console` lines or as `json`.

    Args:
        form: which of the two.
        worker: whose it is, where several write to the same place.
    """
    handler = logging.StreamHandler()
    handler.setFormatter(Lines(as_json=form == "json", worker=worker))
    logging.basicConfig(handlers=[handler], force=True)
    logging.getLogger("digitserve").setLevel(logging.INFO)


class Lines(logging.Formatter):
    """Makes each record one line; a traceback follows it, or is in it as JSON."""

    def __init__(self, *, as_json: bool, worker: int | None = None) -> None:
        """Writes JSON, or what people read; each line names the worker, if there is one."""
        super().__init__()
        self._json = as_json
        self._whose = {} if worker is None else {"worker": worker}

    def format(self, record: logging.LogRecord) -> str:
        """Writes a record, without what looks like a credential."""
        told: dict[str, Any] = dict(getattr(record, "told", ()))
        if not told and (facts := CURRENT.get()) is not None:
            told["call"] = facts.id  # whatever it is about, it was said on account of this call
        told = self._whose | told
        written = self._as_json if self._json else self._for_people
        return written(record, told)

    def _as_json(self, record: logging.LogRecord, told: dict[str, Any]) -> str:
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="microseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": struck(record.getMessage()),
            **{key: struck(each) if isinstance(each, str) else each for key, each in told.items()},
        }
        if record.exc_info:
            line["exception"] = struck(self.formatException(record.exc_info))
        return json.dumps(line, default=str)

    def _for_people(self, record: logging.LogRecord, told: dict[str, Any]) -> str:
        said = [record.getMessage(), *(f"{key}={_value(each)}" for key, each in told.items())]
        line = f"{self.formatTime(record)} {record.levelname} {record.name}: {' '.join(said)}"
        line = _FOREIGN.sub(_shown, struck(line))
        if record.exc_info:
            line = f"{line}\n{struck(self.formatException(record.exc_info))}"
        return line


def _value(told: object) -> str:
    """A value that cannot be taken for several."""
    text = str(told)
    return text if _PLAIN.fullmatch(text) else json.dumps(text, ensure_ascii=False)


def _shown(found: re.Match[str]) -> str:
    """A character that neither ends a line nor turns it around."""
    return found[0] if found[0].isprintable() else found[0].encode("unicode_escape").decode()


def struck(text: str) -> str:
    """The text without what looks like a credential, or like pixels."""
    return _SECRETS.sub(_STRUCK, text)


class CallLog:
    """Tells of calls, when they are over."""

    def __init__(self, *, everything: bool, clock: Callable[[], float] = time.monotonic) -> None:
        """Tells of each call, or only of those that failed."""
        self._everything = everything
        self._clock = clock
        self._second = 0.0
        self._lines = 0

    def wants(self, _: Call) -> bool:
        """All, or only those that will have failed."""
        return self._everything

    def began(self, facts: Facts) -> None:
        """Nothing to tell yet."""

    def wrote(self, facts: Facts, frame: Frame, ending: Ending, written: float) -> None:
        """A stream is told of when it is over."""

    def ended(self, facts: Facts) -> None:
        """Tells of it, if it is to be told."""
        if (self._everything or _failed(facts)) and self._has_room():
            level = _LEVELS.get(facts.code, logging.WARNING)
            _log.log(level, "%s %s", facts.method, facts.code, extra={"told": _told(facts)})

    def close(self) -> None:
        """Says how many lines were too many."""
        self._next_second(self._clock())

    def _has_room(self) -> bool:
        now = self._clock()
        if now >= self._second + 1:
            self._next_second(now)
        self._lines += 1
        return self._lines <= _MOST_LINES

    def _next_second(self, now: float) -> None:
        untold = self._lines - _MOST_LINES
        self._second, self._lines = now, 0
        if untold > 0:
            _log.warning("%d more calls were not told: too many in a second", untold)


# A failure that is not here is a warning.
_LEVELS = {OK: logging.INFO, "CANCELLED": logging.INFO, "INTERNAL": logging.ERROR}


def _failed(facts: Facts) -> bool:
    return facts.code != OK or "failed" in facts.frames


def _told(facts: Facts) -> dict[str, Any]:
    told: dict[str, Any] = {
        "call": facts.id,
        "peer": facts.call.peer(),
        "identity": facts.identity,
        "method": facts.method,
        "code": facts.code,
        "reason": facts.reason,
        "images": facts.images,
        "version": facts.version,
        "seconds": round(facts.seconds, 6),
        "wait_s": round(facts.wait_s, 6),
        "model_s": round(facts.model_s, 6),
        **facts.frames,
    }
    if facts.span is not None:
        told["trace"] = facts.span.trace
    return {key: each for key, each in told.items() if each != ""}
