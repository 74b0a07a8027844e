"""
What goes wrong between this client and a target, and what the scraper is told.

Knows: the failures of a scrape and a phrase for each of them, since Prometheus
shows no more than the status line. Does not know: when they happen, or what is
tried before one gives up.
"""

from __future__ import annotations

import re

from OpenSSL.SSL import Error as TLSError
from service_identity import CertificateError, VerificationError
from twisted.internet.error import (
    ConnectError,
    ConnectionRefusedError,
    DNSLookupError,
)

from pushprox.client.answer import NotHTTP
from pushprox.client.exchange import BrokenOff, Unanswered

MAX_REASON = 190
"""Characters of a reason phrase, which Prometheus shows in one line."""

FAULTS = (
    BrokenOff,
    ConnectError,
    DNSLookupError,
    NotHTTP,
    Unanswered,
    ValueError,
)
"""Why a target did not answer; a C{ValueError} is about its name."""


class ScrapeFailed(Exception):
    """
    There is no answer of the target to pass on.

    @ivar status: what the scraper gets instead.
    @ivar reason: the reason phrase for it: one line of plain ASCII.
    @ivar brokeOff: whether there was the beginning of one.
    """

    def __init__(
        self, status: int, reason: str, target: str = "", brokeOff: bool = False
    ) -> None:
        """
        @param target: whose fault it is, if it is a target's.
        """
        reason = re.sub(r"[^ -~]", "?", reason)[:MAX_REASON]
        super().__init__(f"Scrape of {target} failed: {reason}" if target else reason)
        self.status = status
        self.reason = reason
        self.brokeOff = brokeOff


def tlsDetails(error: TLSError) -> str:
    """
    @return: what OpenSSL says went wrong; its error is a list like
        C{[('SSL routines', '', 'certificate verify failed')]}.
    """
    return ", ".join(re.findall(r"'([^']+)'\)", str(error)))


def reasonOf(error: Exception, host: str) -> str:
    """
    @param host: the target's name.

    @return: what went wrong between this client and a target, in a phrase.
    """
    match error:
        case DNSLookupError():
            return f"Target's name {host} has no address"
        case ConnectionRefusedError():
            return "Target refused the connection"
        case ConnectError():
            return "Target is unreachable"
        case NotHTTP():
            return f"Target did not answer with HTTP: {error}"
        case BrokenOff(received=received):
            return f"Target's answer broke off after {received} bytes"
        case Unanswered(cause=VerificationError() | CertificateError()):
            return f"Target's certificate is not for {host}"
        case Unanswered(cause=TLSError() as cause):
            details = tlsDetails(cause)
            if "certificate verify failed" in details:
                return f"Target's certificate is not trusted: {details}"
            return f"TLS with the target failed: {details}"
        case Unanswered():
            return "Target closed the connection without an answer"
    return f"Target's name {host} is no host name"
