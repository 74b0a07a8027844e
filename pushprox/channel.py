"""
The server's side of HTTP/1.1 connections: what Twisted Web's own channel does
not do for lines that stay open for hours.

It knows sockets and connections, and nothing of scrapes.
"""

from __future__ import annotations

import socket
from collections.abc import Callable

from twisted.internet.defer import Deferred, succeed
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IReactorTime, ITCPTransport
from twisted.internet.protocol import connectionDone
from twisted.python.failure import Failure
from twisted.web import http, server
from twisted.web.http import HTTPChannel
from twisted.web.resource import IResource

#: Idle connections are kept longer than clients of the reference (90 s) and
#: load balancers (60 s) keep them: who closes first must be the other side,
#: or a push may go into a line that is just being closed.
IDLE_TIMEOUT = 180

#: How long a connection that is to be closed may take to answer and to send what
#: it has, in seconds.
FLUSH_TIMEOUT = 5.0


def watchForDeadPeer(transport: ITCPTransport) -> None:
    """
    Have the kernel notice a peer that is gone without a word: within 45 s on
    an idle connection, and as soon where bytes stay unacknowledged.
    """
    transport.setTcpKeepAlive(True)
    sock = transport.getHandle()  # type: ignore[attr-defined]
    if isinstance(sock, socket.socket):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 30)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 5)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 3)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, 45000)


class Line(HTTPChannel):
    """
    One connection.
    """

    site: Site

    def connectionMade(self) -> None:
        """
        Join the site's open lines.
        """
        super().connectionMade()
        if ITCPTransport.providedBy(self.transport):
            watchForDeadPeer(self.transport)
        self.site.lines.add(self)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """
        Leave them, and tell whoever wants to know of an unclean end.
        """
        super().connectionLost(reason)
        self.site.lines.discard(self)
        if not reason.check(ConnectionDone):
            self.site.lineBroke(self)
        self.site.checkClosed()

    def rawDataReceived(self, data: bytes) -> None:
        """
        Take what comes, but end a connection that sends on and on behind a
        request that is not answered yet: to stop reading would be to miss its
        end, and a poll on it would be parked for ever.
        """
        super().rawDataReceived(data)
        if sum(map(len, self._dataBuffer)) > self._optimisticEagerReadSize:
            self.forceAbortClient()

    def close(self) -> None:
        """
        Close, but not before the reply to a request that is under way.
        """
        if self.requests:
            self.persistent = False
        else:
            self.loseConnection()


class Request(server.Request):
    """
    A request whose reply has only the headers it was given: what a target did
    not say, the proxy does not say in its place.
    """

    defaultContentType = None


class Site(server.Site):
    """
    A site that knows its open lines.

    @ivar lines: the connections that are open.
    @ivar lineBroke: called with a L{Line} that ended in an error.
    """

    protocol = Line  # type: ignore[assignment]
    requestFactory = Request
    noisy = False

    def __init__(
        self,
        resource: IResource,
        clock: IReactorTime,
        lineBroke: Callable[[Line], None] = lambda line: None,
    ) -> None:
        super().__init__(
            resource,
            timeout=IDLE_TIMEOUT,
            reactor=clock,
            parsePOSTFormSubmission=False,
        )
        self.lines: set[Line] = set()
        self.lineBroke = lineBroke
        self._clock = clock
        self._closed: Deferred[None] | None = None

    def log(self, request: http.Request) -> None:
        """
        There is no access log: metrics count requests.
        """

    def close(self) -> Deferred[None]:
        """
        Close all lines once they have answered and sent what they have.

        @return: fires when none is left.
        """
        if not self.lines:
            return succeed(None)
        self._closed = Deferred()
        for line in list(self.lines):
            line.close()

        def abort() -> None:
            for line in self.lines:
                line.forceAbortClient()

        overdue = self._clock.callLater(FLUSH_TIMEOUT, abort)
        return self._closed.addCallback(
            lambda _: overdue.cancel() if overdue.active() else None
        )

    def checkClosed(self) -> None:
        """
        A line is gone: was it the last one?
        """
        if self._closed is not None and not self.lines:
            closed, self._closed = self._closed, None
            closed.callback(None)
