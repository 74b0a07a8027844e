"""
L{treq}'s way to the proxy: requests over L{Lines}, which L{treq} decorates.

Knows: how a request's head is written (RFC 9112 section 3), and how an answer
becomes what L{treq} reads. Does not know: where the proxy is and what stands
before it (L{pushprox.client.transport} does), what is asked, when it is repeated.

L{twisted.web.client.Agent} would do but for its price, and for what
L{pushprox.client.exchange} tells.
"""

from __future__ import annotations

from typing import cast

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import (
    IProtocol,
    IPushProducer,
    IStreamClientEndpoint,
    ITransport,
)
from twisted.python.failure import Failure
from twisted.web.client import ResponseDone
from twisted.web.http_headers import Headers
from twisted.web.iweb import (
    UNKNOWN_LENGTH,
    IAgent,
    IBodyProducer,
    IClientRequest,
    IResponse,
)
from zope.interface import implementer

from pushprox.client.answer import NotHTTP
from pushprox.client.exchange import Line
from pushprox.client.lines import Lines
from pushprox.message import ResponseHead

#: Bytes of an answer's body. A poll's is one request, whose head is limited
#: everywhere.
MAX_REPLY = 16 * 1024 * 1024


@implementer(IPushProducer)
class _Delivery:
    """
    What a reader of an answer may stop.

    @ivar stopped: whether it did.
    """

    stopped = False

    def stopProducing(self) -> None:
        self.stopped = True

    loseConnection = abortConnection = stopProducing

    def pauseProducing(self) -> None:
        """
        All is there already, and goes on at once.
        """

    resumeProducing = pauseProducing


@implementer(IResponse)
class _Reply:
    """
    An answer that has come whole: those of a proxy are short.
    """

    version = (b"HTTP", 1, 1)
    request: IClientRequest | None = None
    previousResponse: IResponse | None = None
    head: ResponseHead

    def __init__(self) -> None:
        self.length = 0
        self._pieces: list[bytes] = []

    # What a Line tells.

    def headReceived(self, head: ResponseHead) -> None:
        self.code = head.status
        self.phrase = head.reason
        self.headers = Headers()
        for name, value in head.headers:
            self.headers.addRawHeader(name, value)

    def bodyReceived(self, piece: bytes) -> None:
        self.length += len(piece)
        self._pieces.append(piece)
        if self.length > MAX_REPLY:
            raise NotHTTP(f"over {MAX_REPLY} bytes")

    def readEnded(self) -> None:
        """
        There may be more.
        """

    # What treq asks for.

    def deliverBody(self, protocol: IProtocol) -> None:
        delivery = _Delivery()
        protocol.makeConnection(cast(ITransport, delivery))
        for piece in self._pieces:
            if not delivery.stopped:
                protocol.dataReceived(piece)
        protocol.connectionLost(Failure(ResponseDone()))

    def setPreviousResponse(self, response: IResponse) -> None:
        self.previousResponse = response


@implementer(IAgent)
@attrs.frozen(eq=False)
class Agent:
    """
    Asks one server, which a URL need not name.

    @ivar lines: connections to it, among others.
    @ivar endpoint: leads to it.
    @ivar isWebProxy: whether that is asked for whole URLs (RFC 9112 section
        3.2.2).
    @ivar authorization: what that is told of us, in Proxy-Authorization.
    @ivar takesResting: whether a connection that rests will do.
    """

    lines: Lines
    endpoint: IStreamClientEndpoint
    isWebProxy: bool = False
    authorization: bytes | None = attrs.field(default=None, repr=False)
    takesResting: bool = True

    def request(
        self,
        method: bytes,
        uri: bytes,
        headers: Headers | None = None,
        bodyProducer: IBodyProducer | None = None,
    ) -> Deferred[IResponse]:
        """
        @return: fires with the answer when it has come whole. Fails as the
            endpoint and L{Line.exchange} do.
        """
        head = self._head(method, uri, headers, bodyProducer)
        reply = _Reply()

        def ask(line: Line) -> Deferred[IResponse]:
            exchange = self.lines.exchange(line, method, head, reply, bodyProducer)
            return exchange.addCallback(lambda _: reply)

        line = self.lines.resting(self.endpoint) if self.takesResting else None
        if line is not None:
            return ask(line)
        return self.lines.connect(self.endpoint, self.endpoint).addCallback(ask)

    def _head(
        self,
        method: bytes,
        uri: bytes,
        headers: Headers | None,
        body: IBodyProducer | None,
    ) -> bytes:
        _, _, rest = uri.partition(b"://")
        authority, _, path = rest.partition(b"/")
        lines = [
            b"%b %b HTTP/1.1" % (method, uri if self.isWebProxy else b"/" + path),
            b"Host: " + authority,
        ]
        if body is not None and body.length is UNKNOWN_LENGTH:
            lines.append(b"Transfer-Encoding: chunked")
        elif body is not None:
            lines.append(b"Content-Length: %d" % body.length)
        if self.authorization is not None:
            lines.append(b"Proxy-Authorization: " + self.authorization)
        for name, values in (headers or Headers()).getAllRawHeaders():
            lines += [b"%b: %b" % (name, value) for value in values]
        return b"\r\n".join([*lines, b"", b""])
