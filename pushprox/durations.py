"""
Durations as Go and Prometheus write them, in flags and in files.
"""

from __future__ import annotations

import re

# Nanoseconds in each unit of Go's time.ParseDuration and of Prometheus.
_UNITS = {
    "ns": 1,
    "us": 10**3,
    "\u00b5s": 10**3,  # the micro sign
    "\u03bcs": 10**3,  # the Greek letter
    "ms": 10**6,
    "s": 10**9,
    "m": 60 * 10**9,
    "h": 3600 * 10**9,
    "d": 86400 * 10**9,
    "w": 7 * 86400 * 10**9,
    "y": 365 * 86400 * 10**9,
}
_PART = re.compile(r"([0-9]+(?:\.[0-9]*)?|\.[0-9]+)([nu\u00b5\u03bcm]?s|[mhdwy])")


def duration(text: str, minimum: float = 0.0) -> float:
    """
    Read a duration as Go and Prometheus write it: C{15s}, C{1h30m}, C{1.5m},
    C{500us}, C{1d}, C{0}.

    @param minimum: the least that makes sense, in seconds.

    @return: seconds.
    @raise ValueError: if it is none, is negative, below the minimum, or longer
        than Go can say.
    """
    nanoseconds = 0.0
    position = 0
    while part := _PART.match(text, position):
        nanoseconds += float(part[1]) * _UNITS[part[2]]
        position = part.end()
    if text != "0" and (not text or position < len(text)):
        raise ValueError(f"expected a duration like 15s or 1m30s, got {text!r}")
    if nanoseconds >= 2**63:
        raise ValueError(f"expected a duration of at most 292 years, got {text!r}")
    seconds = nanoseconds / 10**9
    if seconds < minimum:
        raise ValueError(f"expected a duration of at least {minimum:g}s, got {text!r}")
    return seconds
