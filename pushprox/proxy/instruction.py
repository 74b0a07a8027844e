"""
What a poll is answered with: one scrape for a client to do.
"""

from __future__ import annotations

import attrs

from pushprox.deadlines import TIMEOUT_HEADER, headerFromTimeout
from pushprox.headers import Headers
from pushprox.message import writeRequest
from pushprox.names import TargetUrl


@attrs.frozen
class Asked:
    """
    A scrape as its scraper asked for it.

    @ivar headers: those that may reach the client, without the timeout: as they
        were read, and so without line ends.
    """

    method: bytes
    target: TargetUrl
    headers: Headers
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
        headers = (
            *asked.headers,
            (TIMEOUT_HEADER, headerFromTimeout(self.remaining)),
            (b"Id", self.id),
        )
        return writeRequest(asked.method, url, authority, headers, asked.body)
