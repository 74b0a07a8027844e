"""
How long a scrape may take: the header that tells it, and the margins.

Each hop gives up a little earlier than the one before, so that its reason
still arrives: the proxy before Prometheus, the client before the proxy.
"""

from __future__ import annotations

import math
import re
from functools import lru_cache

#: What Prometheus sends with each scrape, and what clients of the reference
#: cannot do without.
TIMEOUT_HEADER = b"X-Prometheus-Scrape-Timeout-Seconds"

#: How much earlier to give up, in seconds; as blackbox_exporter has it.
OFFSET = 0.5

_SECONDS = re.compile(rb"\s*(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?\s*")


@lru_cache(maxsize=64)
def timeoutFromHeader(value: bytes | None) -> float | None:
    """
    @return: the seconds that the header tells; L{None} if it is absent, or is
        no finite number above 0, which counts as absent.
    """
    if value is None or not _SECONDS.fullmatch(value):
        return None
    seconds = float(value)
    return seconds if 0 < seconds < math.inf else None


def headerFromTimeout(seconds: float) -> bytes:
    """
    @return: the value of the header, to the millisecond and never 0.
    """
    text = b"%.3f" % max(seconds, 0.001)
    return text.rstrip(b"0").rstrip(b".")


def lessMargin(seconds: float, offset: float = OFFSET) -> float:
    """
    @return: when to give up where the one who asked waits for C{seconds}:
        earlier by C{offset}, and by a tenth at most.
    """
    return seconds - min(offset, seconds / 10)
