"""
One line a log event, in logfmt or JSON, as Prometheus's programs write them.

Knows how an event of L{twisted.logger} looks to an operator: its time, level
and text, the fields our own loggers give, and a failure's error and traceback.
Knows nothing of flags, files or of where the events come from.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from datetime import UTC, datetime
from typing import IO, Any

from logfmter.formatter import Logfmter
from twisted.logger import (
    FileLogObserver,
    FilteringLogObserver,
    ILogObserver,
    LogEvent,
    LogLevel,
    LogLevelFilterPredicate,
    formatEvent,
)
from twisted.python.failure import Failure
from twisted.python.reflect import safe_str

# What Twisted says at info (factories that start, the reactor's class) is of
# no use to who runs the program.
_CHATTY = ("twisted", "log_legacy")

# Logfmter escapes the ASCII control characters; these, too, end a line or
# steer a terminal somewhere.
_CONTROLS = {code: f"\\u{code:04x}" for code in (*range(0x80, 0xA0), 0x2028, 0x2029)}


def logObserver(
    stream: IO[Any], level: str = "info", style: str = "logfmt"
) -> ILogObserver:
    """
    Make the observer of a whole program.

    @param stream: where the lines go.
    @param level: C{"debug"}, C{"info"}, C{"warn"} or C{"error"}: the least
        severe event that is written. Below C{"debug"} Twisted's own events
        are written from C{"warn"} up.
    @param style: C{"logfmt"} or C{"json"}.
    """
    chosen = LogLevel.levelWithName(level)
    wanted = LogLevelFilterPredicate(chosen)
    if chosen == LogLevel.info:
        for namespace in _CHATTY:
            wanted.setLogLevelForNamespace(namespace, LogLevel.warn)
    return FilteringLogObserver(FileLogObserver(stream, _STYLES[style]), [wanted])


def _asLogfmt(event: LogEvent) -> str:
    """
    @return: the event as a line of logfmt, with its end of line.
    """
    fields = {Logfmter.normalize_key(k): v for k, v in _fields(event).items()}
    line = Logfmter.format_params(fields).translate(_CONTROLS)
    # A stray surrogate cannot be encoded, and would cost the whole line.
    return line.encode("utf-8", "backslashreplace").decode("utf-8") + "\n"


def _asJSON(event: LogEvent) -> str:
    """
    @return: the event as a JSON object on one line, in ASCII.
    """
    return json.dumps(_fields(event)) + "\n"


_STYLES: dict[str, Callable[[LogEvent], str]] = {
    "logfmt": _asLogfmt,
    "json": _asJSON,
}


def _fields(event: LogEvent) -> dict[str, Any]:
    """
    @return: what is written of an event, in the order in which it is written.
    """
    level = event["log_level"]
    moment = datetime.fromtimestamp(event["log_time"], UTC)
    fields: dict[str, Any] = {
        "time": moment.replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z",
        # Prometheus's programs have no level above error.
        "level": "ERROR" if level == LogLevel.critical else level.name.upper(),
        "msg": formatEvent(event),
    }
    if event["log_namespace"].partition(".")[0] == "pushprox":
        for key, value in event.items():
            if not key.startswith("log_") and key not in fields:
                fields[key] = _plain(value)
    failure = event.get("log_failure")
    if failure is not None:
        fields["err"] = _errorText(failure)
        fields["traceback"] = failure.getTraceback()
    return fields


def _plain(value: object) -> str | int | float | None:
    """
    @return: the value as one that logfmt and JSON both can hold.
    """
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, float) and math.isfinite(value):
        return value
    if isinstance(value, bytes):
        return value.decode("utf-8", "backslashreplace")
    return safe_str(value)


def _errorText(failure: Failure) -> str:
    """
    @return: the error's class and what it says, if it says something.
    """
    assert failure.type is not None
    return f"{failure.type.__name__}: {failure.getErrorMessage()}".removesuffix(": ")
