"""
Connections that a load balancer passes on, and says first whose they are: by a
header of the PROXY protocol, version 1 or 2, which comes before all else, TLS too.

Whoever may say whose a connection is may be anybody. So none but those who are
trusted may connect, and what they open is nothing to anybody until its header is
there: the protocol behind is made and connected only then, for the source that the
header tells. Knows nothing of what follows it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import (
    IAddress,
    IDelayedCall,
    IListeningPort,
    IProtocolFactory,
    IReactorTime,
    IStreamServerEndpoint,
)
from twisted.internet.protocol import Protocol, connectionDone
from twisted.logger import Logger
from twisted.protocols.haproxy._exceptions import InvalidProxyHeader
from twisted.protocols.haproxy._info import ProxyInfo
from twisted.protocols.haproxy._v1parser import V1Parser
from twisted.protocols.haproxy._v2parser import V2Parser
from twisted.protocols.policies import ProtocolWrapper, WrappingFactory
from twisted.python.failure import Failure
from zope.interface import directlyProvides, implementer, providedBy

from pushprox.buckets import Bucket
from pushprox.sources import Network, addressFrom, isIn, networkOf, peerOf

#: The longest header of version 1, in bytes with its line end, as its specification
#: has it (section 2.1).
LONGEST = 107

#: Of what is dropped the log tells once in so many seconds.
TELL_EVERY = 60.0

# Version 2 up to its length, and where that stands (section 2.2).
_FIXED = 16
_LENGTH = slice(14, 16)


def readHeader(data: bytes) -> tuple[ProxyInfo, bytes] | None:
    """
    @param data: all that came.
    @return: what the header says, and what follows it; L{None} if it is not whole.
    @raise ValueError: if it is none.
    """
    parser: V1Parser | V2Parser
    if data[:12] == V2Parser.PREFIX[: len(data)]:
        parser = V2Parser()
        size = _FIXED + int.from_bytes(data[_LENGTH], "big")
        isWhole = len(data) >= max(size, _FIXED)
    elif data[:6] == b"PROXY "[: len(data)]:
        parser = V1Parser()
        isWhole = b"\r\n" in data[:LONGEST]
        if not isWhole and len(data) >= LONGEST:
            raise ValueError("a header without an end")
    else:
        raise ValueError("no header")
    if not isWhole:
        return None
    try:
        info, rest = parser.feed(data)
    except InvalidProxyHeader as error:
        raise ValueError("a header that says nothing") from error
    assert info is not None
    assert rest is not None
    host = getattr(info.source, "host", None)
    if host is not None and addressFrom(host) is None:
        # Version 1 is text.
        raise ValueError("a header with no address")
    return info, rest


@attrs.define(eq=False)
class Announcing:
    """
    What is asked of those who say whose a connection is, and what became of those
    who fell short.

    @ivar clock: the clock of all waits.
    @ivar trusted: who may connect.
    @ivar within: how long a header may take, in seconds.
    @ivar dropped: how many connections were dropped.
    """

    _log = Logger()

    clock: IReactorTime
    trusted: Callable[[], Sequence[Network]]
    within: float
    dropped: int = 0
    _telling: Bucket = attrs.field(factory=lambda: Bucket(TELL_EVERY, 1))

    def isTrusted(self, end: object) -> bool:
        """
        @return: whether whoever connects from there may do so.
        """
        return isIn(peerOf(end), self.trusted())

    def drop(self, end: object, why: str) -> None:
        """
        Count what is dropped, and tell the log now and then.
        """
        self.dropped += 1
        if self._telling.take(self.clock.seconds()):
            self._log.warn(
                "haproxy: dropped a connection from {who}: {why} ({dropped} so far)",
                who=networkOf(peerOf(end)),
                why=why,
                dropped=self.dropped,
            )


class AnnouncedLine(ProtocolWrapper):
    """
    A connection with a header.

    @ivar _head: what came of it; L{None} once it was whole.
    @ivar _info: what it says.
    """

    factory: AnnouncedFactory
    transport: Any
    wrappedProtocol: Any
    _info: ProxyInfo | None = None
    _due: IDelayedCall

    def __init__(self, factory: AnnouncedFactory) -> None:
        super().__init__(factory, None)  # type: ignore[arg-type]
        self._head: bytes | None = b""

    def makeConnection(self, transport: Any) -> None:
        """
        Wait for the header. Nobody behind knows of us.
        """
        directlyProvides(self, providedBy(transport))
        Protocol.makeConnection(self, transport)
        self.factory.registerProtocol(self)
        announcing = self.factory.announcing
        self._due = announcing.clock.callLater(
            announcing.within, self._drop, "no whole PROXY header in time"
        )

    def dataReceived(self, data: bytes) -> None:
        """
        Read the header; what follows it is not for us.
        """
        if self._head is None:
            self.wrappedProtocol.dataReceived(data)
            return
        self._head += data
        try:
            found = readHeader(self._head)
        except ValueError as error:
            self._drop(f"expected a PROXY header, got {error}")
            return
        if found is not None:
            self._begin(*found)

    def _begin(self, info: ProxyInfo, rest: bytes) -> None:
        """
        Connect whom this is for.
        """
        self._info = info
        self._head = None
        self._due.cancel()
        line = self.factory.wrappedFactory.buildProtocol(self.getPeer())
        if line is None:
            self.transport.abortConnection()
            return
        self.wrappedProtocol = line
        line.makeConnection(self)
        if rest:
            line.dataReceived(rest)

    def _drop(self, why: str) -> None:
        """
        Nobody is to hear of this one.
        """
        self.factory.announcing.drop(self.transport.getPeer(), why)
        self.transport.abortConnection()

    def getPeer(self) -> IAddress:
        """
        @return: whose this is; of a load balancer's own, where that comes from.
        """
        source = self._info.source if self._info else None
        return source or self.transport.getPeer()

    def getHost(self) -> IAddress:
        """
        @return: where he connected to.
        """
        destination = self._info.destination if self._info else None
        return destination or self.transport.getHost()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """
        Tell whoever is connected.
        """
        if self._due.active():
            self._due.cancel()
        if self.wrappedProtocol is not None:
            super().connectionLost(reason)
        else:
            self.factory.unregisterProtocol(self)


class AnnouncedFactory(WrappingFactory):
    """
    Makes such connections.
    """

    noisy = False
    protocols: dict[AnnouncedLine, int]

    def __init__(self, announcing: Announcing, wrapped: IProtocolFactory) -> None:
        super().__init__(wrapped)
        self.announcing = announcing

    def buildProtocol(self, addr: IAddress | None) -> Any:
        """
        @return: one more; L{None} for who is not trusted, which closes it.
        """
        if self.announcing.isTrusted(addr):
            return AnnouncedLine(self)
        self.announcing.drop(addr, "he is none of trusted_proxies")
        return None

    def stopFactory(self) -> None:
        """
        Leave none behind that nobody else knows of.
        """
        for line in list(self.protocols):
            if line.wrappedProtocol is None:
                line.transport.abortConnection()


@implementer(IStreamServerEndpoint)
@attrs.frozen(eq=False)
class AnnouncedEndpoint:
    """
    Listens for connections with a header.

    @ivar _endpoint: where.
    """

    _endpoint: IStreamServerEndpoint
    _announcing: Announcing

    def listen(self, protocolFactory: IProtocolFactory) -> Deferred[IListeningPort]:
        """
        @return: the port.
        """
        return self._endpoint.listen(
            AnnouncedFactory(self._announcing, protocolFactory)
        )
