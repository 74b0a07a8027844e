"""
Twisted Web's site, that knows its open lines and looks after their time.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from OpenSSL.SSL import Error as TLSError
from twisted.internet.defer import Deferred, succeed
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.python.failure import Failure
from twisted.web import http, server
from twisted.web.http import datetimeToString
from twisted.web.resource import IResource, Resource

from pushprox import __version__
from pushprox.channel import Line
from pushprox.crowd import Crowd
from pushprox.limits import Limits
from pushprox.request import STAR, Request

_VERSION = __version__.encode("ascii")

#: What both programs tell each other.
VERSION_LINE = b"Pushprox-Version: %b\r\n" % _VERSION

#: How often overdue lines are looked for, in seconds. One timer for all: a
#: timer each would be set anew with every byte.
SWEEP = 1.0


class Crossroads(Resource):
    """
    A root that needs no path to be taken apart.
    """

    def choose(self, request: Request) -> IResource:
        """
        @return: who answers this request.
        """
        raise NotImplementedError  # pragma: no cover


class Site(server.Site):
    """
    A site.

    @ivar lines: the connections that are open.
    @ivar crowd: these and those of other sites, which are limited together.
    @ivar ended: called with each request that ended and the status of its
        reply, L{HUNG_UP<pushprox.request.HUNG_UP>} if there was none to read it.
    @ivar lineBroke: called with a L{Line} that ended in an error.
    @ivar refused: called with the status of each request that no resource was
        asked about.
    @ivar _moreLines: asked once a second for more lines of the head that every
        reply of ours has.
    """

    protocol = Line  # type: ignore[assignment]
    requestFactory = Request  # type: ignore[assignment]
    noisy = False

    def __init__(
        self,
        resource: IResource,
        clock: IReactorTime,
        lineBroke: Callable[[Line], None] = lambda line: None,
        refused: Callable[[int], None] = lambda status: None,
        limits: Limits = Limits(),  # noqa: B008 (a frozen value)
        ended: Callable[[Request, int], None] = lambda request, status: None,
        moreLines: Callable[[], bytes] = lambda: b"",
        crowd: Crowd | None = None,
    ) -> None:
        super().__init__(
            resource, timeout=None, reactor=clock, parsePOSTFormSubmission=False
        )
        self.clock = clock
        self.limits = limits
        self.crowd = crowd or Crowd(clock, limits)
        self.lines = self.crowd.place()
        self.lineBroke = lineBroke
        self.ended = ended
        self.refused = refused
        self._closed: Deferred[None] | None = None
        self._sweep: IDelayedCall | None = None
        self._second = -1
        self._signature = self._dateLine = b""
        self._moreLines = moreLines

    def startFactory(self) -> None:
        """
        There is no access log, and no time to keep for it.
        """

    def stopFactory(self) -> None:
        """
        Nor here.
        """

    def acceptableProtocols(self) -> list[bytes]:
        """
        What is agreed on in TLS: no HTTP/2, which Twisted offers where L{h2} is
        installed and which its own channel would speak.
        """
        return [b"http/1.1"]

    def log(self, request: http.Request) -> None:
        """
        There is no access log, but whoever counts requests is told of this one.
        """
        assert isinstance(request, Request)
        self.ended(request, request.code)

    @property
    def signature(self) -> bytes:
        """
        The lines of the head that every reply of ours has.
        """
        second = int(self.clock.seconds())
        if second != self._second:
            self._second = second
            self._dateLine = b"Date: %b\r\n" % datetimeToString(second)
            self._signature = b"Server: pushprox/%b\r\n%b%b%b" % (
                _VERSION,
                self._dateLine,
                VERSION_LINE,
                self._moreLines(),
            )
        return self._signature

    def getResourceFor(self, request: Any) -> IResource:
        """
        Find who answers a request: by its whole target, if the root is one that
        looks at that, else as Twisted does it.
        """
        root = self.resource
        if isinstance(root, Crossroads):
            return root.choose(request)
        if request.path == b"*":
            return STAR
        found: IResource = super().getResourceFor(request)
        return found

    @property
    def dateLine(self) -> bytes:
        """
        The line of the head that tells the time.
        """
        _ = self.signature
        return self._dateLine

    # The lines.

    def buildProtocol(self, addr: Any) -> Any:
        """
        Somebody connects.

        @param addr: from where. To limit the lines of an address, it has to be
            the one that the line will tell.
        @return: one more line, or L{None} to have the connection closed.
        """
        return super().buildProtocol(addr) if self.crowd.admits(addr) else None

    def lineOpened(self, line: Line) -> None:
        """
        Look after one more.
        """
        self.lines.add(line)
        self.crowd.joined(line)
        if self._sweep is None:
            self._sweep = self.clock.callLater(SWEEP, self._sweepLines)

    def _sweepLines(self) -> None:
        now = self.clock.seconds()
        self._sweep = None
        for line in list(self.lines):
            if line.due is not None and line.due <= now:
                line.overdue()
        if self.lines:
            self._sweep = self.clock.callLater(SWEEP, self._sweepLines)

    def lineClosed(self, line: Line, reason: Failure) -> None:
        """
        One less; tell whoever wants to know of an unclean end.
        """
        self.lines.discard(line)
        self.crowd.left(line)
        if not self.lines and self._sweep is not None:
            self._sweep.cancel()
            self._sweep = None
        if not reason.check(ConnectionDone):
            self.lineBroke(line)
        if reason.check(TLSError):
            self.crowd.closed("tls")
        if self._closed is not None and not self.lines:
            closed, self._closed = self._closed, None
            closed.callback(None)

    def close(self) -> Deferred[None]:
        """
        Close all lines once they have answered and sent what they have, or
        after L{Limits.linger}.

        @return: fires when none is left.
        """
        if not self.lines:
            return succeed(None)
        self._closed = Deferred()
        closed = self._closed
        for line in list(self.lines):
            line.close()
        return closed
