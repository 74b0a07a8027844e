"""
What a poll is answered with: one scrape for a client to do.
"""

from __future__ import annotations

import attrs

from pushprox.deadlines import TIMEOUT_HEADER, headerFromTimeout
from pushprox.names import TargetUrl


@attrs.frozen
class Asked:
    """
    A scrape as its scraper asked for it.

    @ivar lines: those of the head that may reach the client, in the order of
        the reference: User-Agent, Content-Length, then the others as they came;
        without the timeout.
    """

    method: bytes
    target: TargetUrl
    lines: bytes
    body: bytes


@attrs.frozen
class Instruction:
    """
    @ivar spelling: the name as this client polled it.
    @ivar remaining: the seconds left until the proxy gives the scrape up.
    """

    id: bytes
    request: Asked
    spelling: str
    remaining: float

    def toBytes(self) -> bytes:
        """
        @return: the scrape as the client gets it: with its id, the time that
            remains, and the host as this client spells it, since clients of the
            reference compare bytes.
        """
        asked = self.request
        url, authority = asked.target.spelled(self.spelling)
        return b"%b %b HTTP/1.1\r\nHost: %b\r\n%b%b: %b\r\nId: %b\r\n\r\n%b" % (
            asked.method,
            url,
            authority,
            asked.lines,
            TIMEOUT_HEADER,
            headerFromTimeout(self.remaining),
            self.id,
            asked.body,
        )
