"""
What those are told who do not get in, or may not have what they ask for.
"""

from __future__ import annotations

from functools import lru_cache

import attrs
from twisted.web.server import NOT_DONE_YET

from pushprox.request import Request, StreamingResource

#: Why somebody is denied, in the words by which it is counted.
MISSING = "no credentials"
WRONG = "wrong credentials"
FAILING = "too many wrong credentials"
BUSY = "too many passwords to compare"
TOO_FAST = "rate limit"
FORBIDDEN = "not allowed"
FOREIGN = "not whom the scrape was given to"
WHYS = (MISSING, WRONG, FAILING, BUSY, TOO_FAST, FORBIDDEN, FOREIGN)


@attrs.frozen(eq=False)
class Denial(StreamingResource):
    """
    Says no. Bodies are not waited for.

    @ivar why: one of L{WHYS}.
    @ivar lines: of the reply's head, each with its line end.
    """

    isLeaf = True
    why: str
    status: int
    reason: bytes
    lines: bytes = b""

    def render(self, request: Request) -> int:
        """
        Say it.
        """
        body = b"%b\n" % self.reason
        lines = (
            b"%b%bContent-Type: text/plain; charset=utf-8\r\nContent-Length: %d\r\n"
        ) % (request.site.signature, self.lines, len(body))
        if request.method == b"HEAD":
            body = b""
        request.reply(self.status, self.reason, lines, body)
        return NOT_DONE_YET


@lru_cache
def challenge(why: str, isForOthers: bool, schemes: tuple[bytes, ...]) -> Denial:
    """
    @param isForOthers: whether what is asked for is somebody else's, by way of
        us: then it is a proxy that asks.
    @param schemes: the ways there are to say who one is.
    @return: asks for that (RFC 9110 section 11.6.1 and 11.7.1).
    """
    asked = b", ".join(b'%b realm="pushprox"' % scheme for scheme in schemes)
    if isForOthers:
        line = b"Proxy-Authenticate: %b\r\n" % asked
        return Denial(why, 407, b"Proxy Authentication Required", line)
    return Denial(why, 401, b"Unauthorized", b"WWW-Authenticate: %b\r\n" % asked)


def later(why: str, status: int, reason: bytes, seconds: int = 1) -> Denial:
    """
    @param seconds: after which it may be asked for again.
    """
    return Denial(why, status, reason, b"Retry-After: %d\r\n" % seconds)
